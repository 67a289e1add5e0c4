#include "lib/store/incoming.hpp"

#include "lib/store/manifest_file.hpp"

namespace longhaul::store {

TreeName incoming_folder(const DatasetName& dataset) {
  const crypto::Digest digest = crypto::sha256(std::string_view("push " + dataset.text()));
  return TreeName::known(".longhaul/staging/" + digest.hex().substr(0, 32));
}

TreeName incoming_tree(const DatasetName& dataset) {
  return TreeName::known("tree").under(incoming_folder(dataset));
}

TreeName incoming_manifest(const DatasetName& dataset) {
  return TreeName::known("manifest").under(incoming_folder(dataset));
}

Result<> tell_incoming(Files& files, const DatasetName& dataset, const Tree& tree) {
  const TreeName beside = TreeName::known("manifest.new").under(incoming_folder(dataset));
  if (auto gone = files.remove(beside); !gone && gone.error().kind() != Kind::kNotFound)
    return fail(gone.error());
  {
    const auto file = TRY(files.open(beside, Access::kCreate));
    const ByteVector header = manifest_header(tree);
    TRY(file->write_at(header, 0));
    TRY(file->write_at(tree.bytes(), header.size()));
  }
  return files.rename(beside, incoming_manifest(dataset), Replace::kYes);
}

}  // namespace longhaul::store
