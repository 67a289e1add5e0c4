#include "proxy/mirror_place.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace longhaul::proxy {

void remove_empty_mirror(const std::string& site_folder, const std::string& run) {
  std::string folder = site_folder + "/" + run;
  const std::string mirror = folder + "/mirror";
  struct ::stat status {};
  const std::string history = mirror + "/history";
  if (::stat(history.c_str(), &status) != 0 || status.st_size > 0) return;
  ::unlink(history.c_str());
  ::unlink((mirror + "/lock").c_str());
  if (::rmdir(mirror.c_str()) != 0) return;
  while (folder.size() > site_folder.size() && ::rmdir(folder.c_str()) == 0)
    folder.resize(folder.rfind('/'));
}

}  // namespace longhaul::proxy
