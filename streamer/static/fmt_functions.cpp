// The functions of libfmt that a static link needs: Debian ships its headers and a shared library,
// no archive. Without FMT_HEADER_ONLY the header below defines them as ordinary functions; its
// templates are instantiated where the library would have.
#include <fmt/format-inl.h>

namespace fmt {
inline namespace v9 {
namespace detail {

template locale_ref::locale_ref(const std::locale&);
template std::locale locale_ref::get<std::locale>() const;
template thousands_sep_result<char> thousands_sep_impl(locale_ref);
template char decimal_point_impl(locale_ref);

}  // namespace detail
}  // namespace v9
}  // namespace fmt
