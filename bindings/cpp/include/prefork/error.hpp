/// @file prefork/error.hpp
/// Errors: std::error_code of std::system_category() for an errno, and of prefork::category().
///
/// SPDX-License-Identifier: MIT
#ifndef PREFORK_ERROR_HPP
#define PREFORK_ERROR_HPP

#include <prefork.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#if defined(__has_include) && __cplusplus > 202002L
#if __has_include(<expected>)
#include <expected>
#endif
#endif

namespace prefork {

/// The library's own errors. All others are an errno in std::system_category(), which compare with
/// std::errc.
enum class errc {
    gave_up = PF_EGAVEUP,  ///< too many restarts, or no worker got ready; all were stopped
    threads = PF_ETHREADS, ///< other threads run, or cannot be counted: a fork is not safe
    resolve = PF_ERESOLVE, ///< the name of a host was not found
    fatal = PF_EFATAL,     ///< a worker exited with a status of ExitAction::fatal
};

namespace detail {

class Category final : public std::error_category {
  public:
    const char *name() const noexcept override { return "prefork"; }
    std::string message(int code) const override { return pf_strerror(code); }
};

} // namespace detail

/// The category of prefork::errc.
inline const std::error_category &category() noexcept {
    static const detail::Category instance;
    return instance;
}

/// Makes an errc an std::error_code.
inline std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), category()};
}

/// The error code of what a function of prefork.h returned; none for 0 and more.
inline std::error_code error_of(int result) noexcept {
    if (result >= 0) {
        return {};
    }
    return result < -4096 ? std::error_code(result, category())
                          : std::error_code(-result, std::system_category());
}

namespace detail {

/// Sets the error, and returns the result, which is 0 or more on success.
inline int take(int result, std::error_code &error) noexcept {
    error = error_of(result);
    return result;
}

[[noreturn]] inline void fail(std::error_code error, const std::string &what) {
    throw std::system_error(error, "prefork: " + what);
}

inline int require(int result, const char *what) {
    if (result < 0) {
        fail(error_of(result), what);
    }
    return result;
}

/// A library that is older than the header may lack what the header uses.
inline void require_version() {
    constexpr int needed = 10000 * PF_VERSION_MAJOR + 100 * PF_VERSION_MINOR + PF_VERSION_PATCH;
    if (pf_version_number() < needed) {
        fail(std::make_error_code(std::errc::not_supported),
             std::string("libprefork ") + std::to_string(PF_VERSION_MAJOR) + "." +
                 std::to_string(PF_VERSION_MINOR) + "." + std::to_string(PF_VERSION_PATCH) +
                 " or newer must be installed; the loaded one is " + pf_version());
    }
}

/// Calls a function that takes an error code last, and throws that.
template <typename Function>
decltype(auto) or_throw(const char *what, Function &&function) {
    std::error_code error;
    if constexpr (std::is_void_v<std::invoke_result_t<Function, std::error_code &>>) {
        std::forward<Function>(function)(error);
        if (error) {
            fail(error, what);
        }
    } else {
        auto result = std::forward<Function>(function)(error);
        if (error) {
            fail(error, what);
        }
        return result;
    }
}

/// What std::cout and std::clog hold would be written again by each worker. The library itself
/// flushes stdio before each fork.
inline void flush_streams() noexcept {
    try {
        std::cout.flush();
        std::clog.flush();
    } catch (...) { // the stream was told to throw: there is nobody left to tell
    }
}

/// Calls a function that throws, and keeps the error code alone.
template <typename Function>
void caught(Function &&function, std::error_code &error) {
    error.clear();
    try {
        std::forward<Function>(function)();
    } catch (const std::system_error &failure) {
        error = failure.code();
    }
}

/// A string for C. One with a NUL would be cut off there, and is refused with EINVAL.
inline std::string text(std::string_view value, const char *what) {
    if (value.find('\0') != std::string_view::npos) {
        fail(std::make_error_code(std::errc::invalid_argument),
             std::string(what) + " contains a NUL");
    }
    return std::string(value);
}

} // namespace detail

#if defined(__cpp_lib_expected)
/// Makes a std::expected of a call that takes a std::error_code&.
/// @code
/// auto more = prefork::attempt([&](auto &error) { return pool.dispatch(100ms, error); });
/// @endcode
template <typename Function>
auto attempt(Function &&function) {
    using Result = std::invoke_result_t<Function, std::error_code &>;
    using Expected = std::expected<Result, std::error_code>;
    std::error_code error;
    if constexpr (std::is_void_v<Result>) {
        std::forward<Function>(function)(error);
        return error ? Expected(std::unexpected(error)) : Expected();
    } else {
        auto result = std::forward<Function>(function)(error);
        return error ? Expected(std::unexpected(error)) : Expected(std::move(result));
    }
}
#endif

} // namespace prefork

/// @cond
template <>
struct std::is_error_code_enum<prefork::errc> : std::true_type {};
/// @endcond

#endif
