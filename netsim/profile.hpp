// Profiles: named links. Built-in ones (docs/profiles.md says where each number is from) and the
// user's own, as files of the form
//
//   {"netsim_profile": 1, "name": "home", "about": "..", "notes": {"source": ".."},
//    "link": {"rtt": "158ms", "up": {"rate": "300mbit", "queue": "100ms"}, ..}}
//
// with "link" as in settings.hpp. `notes` are for people: strings that change nothing, such as
// where a number was measured and when. Pure: whoever has a file name reads the file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "netsim/settings.hpp"

namespace netsim {

struct Profile {
  std::string name;   // of letters, digits, '-', '_' and '.', at most 64
  std::string about;  // one line
  std::map<std::string, std::string> notes;
  LinkConfig link;
  bool operator==(const Profile&) const = default;
};

std::vector<std::string_view> profile_names();            // built in, in the order of the docs
Result<Profile> built_in_profile(std::string_view name);  // kNotFound names the nearest ones

Result<Profile> profile_from_json(std::string_view json, const TraceFiles& files = {});
std::string to_json(
    const Profile& profile);  // readable, several lines; reads back to an equal profile

// True for what --profile should open as a file: "./home.json", "link.json"; false for a built-in
// name.
bool is_profile_file(std::string_view argument);

// What `netsim profiles` shows: a table of the built-in ones, or one in full.
std::string profile_table();
std::string profile_list_json();  // one line: [{"name":..,"about":..,"rtt":..,"link":..}, ..]
std::string describe(const Profile& profile);

}  // namespace netsim
