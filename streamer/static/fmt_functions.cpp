// The functions of libfmt that a static link needs: Debian ships its headers and a shared library,
// no archive. Without FMT_HEADER_ONLY the header below defines them as ordinary functions; its
// templates are instantiated where the library would have.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

template locale_ref::locale_ref(const std::locale&);
template std::locale locale_ref::get<std::locale>() const;
template thousands_sep_result<char> thousands_sep_impl(locale_ref);
template char decimal_point_impl(locale_ref);
#if FMT_VERSION >= 100000
template void buffer<char>::append(const char*, const char*);
template void vformat_to(buffer<char>&, string_view, typename vformat_args<char>::type, locale_ref);
#endif

}  // namespace detail
FMT_END_NAMESPACE
