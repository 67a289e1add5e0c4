#include "lib/gateway/desk.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"
#include "lib/store/incoming.hpp"

namespace longhaul::gateway {
namespace {

using What = decltype(Answer::what);

Result<store::DatasetName> dataset_of(const NameText& text) {
  return store::DatasetName::parse(text);
}

Result<store::TreeName> served(const NameText& text) {
  auto name = TRY(store::TreeName::parse(text));
  if (!is_served(name))
    return fail(Kind::kAuth, "read " + name.shown() + " through the gateway",
                "it is no part of a dataset");
  return name;
}

Result<What> answer_to(Site& site, const AskCurrent& ask) {
  Current out;
  if (const auto version = TRY(site.current(TRY(dataset_of(ask.dataset)))))
    out.version = store::to_text(*version);
  return out;
}

Result<What> answer_to(Site& site, const AskLook& ask) {
  Looked out;
  if (const auto seen = TRY(site.look(TRY(served(ask.name))))) {
    out.is_there = true;
    out.bytes = seen->bytes;
    out.mark.assign(seen->mark.begin(), seen->mark.end());
  }
  return out;
}

Result<What> answer_to(Site& site, const AskPart& ask) {
  const store::TreeName name = TRY(served(ask.name));
  if (ask.bytes == 0 || ask.bytes > kPartMax || ask.offset > (std::uint64_t{1} << 62))
    return fail(Kind::kMalformed, "read a part of " + name.shown());
  Part out;
  out.bytes.resize(ask.bytes);
  out.is_whole = TRY(site.read(name, ask.offset, out.bytes)) == Site::Filled::kWhole;
  if (!out.is_whole) out.bytes.clear();
  return out;
}

Result<What> answer_to(Site& site, const SayWant& said) {
  const store::DatasetName dataset = TRY(dataset_of(said.dataset));
  if (said.urgent > said.chunks.size()) return fail(Kind::kMalformed, "note what is needed");
  if (said.anything)
    site.want(dataset, {said.chunks, said.urgent});
  else
    site.want_nothing(dataset);
  return Noted{};
}

Result<What> answer_to(Site&, const Leave&) {
  return Noted{};  // before a site is asked for
}

Answer refusal(std::uint64_t number, const Error& error) {
  Refused out;
  out.kind = error.kind();
  out.attempt = error.attempt().substr(0, kWordsMax);
  out.why = error.why().substr(0, kWordsMax);
  return {number, out};
}

}  // namespace

bool is_served(const store::TreeName& name) {
  static const auto kDatasets = store::TreeName::known("datasets");
  static const auto kManifests = store::TreeName::known(".longhaul/manifests");
  static const auto kStaging = store::TreeName::known(".longhaul/staging");
  if (name.is_within(kDatasets) || name.is_within(kManifests)) return true;
  if (!name.is_within(kStaging)) return false;
  // .longhaul/staging/ID/manifest, .longhaul/staging/ID/tree/..
  store::TreeName place = name;
  while (place.depth() > 4) place = place.parent();
  return place.depth() == 4 && (place.last() == "tree" || place.last() == "manifest");
}

Result<Site*> Desk::site_of(Time now, const std::string& reader) {
  auto found = readers_.find(reader);
  if (found == readers_.end()) {
    if (readers_.size() >= kReadersMax) {
      return fail(Kind::kLimit, "read through the gateway",
                  "it serves " + std::to_string(kReadersMax) + " readers already");
    }
    found = readers_.emplace(reader, Reader{TRY(make_site_()), now}).first;
  }
  found->second.heard = now;
  return found->second.site.get();
}

ByteVector refusal_of(Bytes bytes, const Error& why) {
  const auto question = wire::decode<Question>(bytes);
  return wire::encode(refusal(question.has_value() ? question->number : 0, why));
}

ByteVector Desk::answer(Time now, const std::string& reader, Bytes bytes) {
  const auto question = wire::decode<Question>(bytes);
  if (!question.has_value()) return wire::encode(refusal(0, question.error()));
  if (question->version != kProtocolVersion) {
    return wire::encode(refusal(
        question->number, Error(Kind::kUnsupported, "read through the gateway",
                                "it speaks version " + std::to_string(kProtocolVersion) +
                                    ", the reader version " + std::to_string(question->version))));
  }
  if (std::holds_alternative<Leave>(question->what)) {
    forget(reader);
    return wire::encode(Answer{question->number, Noted{}});
  }
  const auto site = site_of(now, reader);
  if (!site.has_value()) return wire::encode(refusal(question->number, site.error()));
  const auto found =
      std::visit([&](const auto& what) { return answer_to(**site, what); }, question->what);
  if (!found.has_value()) return wire::encode(refusal(question->number, found.error()));
  return wire::encode(Answer{question->number, *found});
}

void Desk::forget_idle(Time now) {
  std::erase_if(readers_,
                [now](const auto& reader) { return now - reader.second.heard > kReaderLife; });
}

}  // namespace longhaul::gateway
