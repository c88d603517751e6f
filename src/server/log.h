#pragma once
// The server's log, in Redis's line format: "1234:M 21 Nov 2026 03:30:05.123 * text". To the logfile, or stdout.
// Safe from any thread.
#include <string>
#include <string_view>

namespace brim {

enum class LogLevel { kDebug = 0, kVerbose = 1, kNotice = 2, kWarning = 3 };

// `file` empty: standard output. Lines below `level` are dropped.
void SetLog(LogLevel level, const std::string& file);
void SetSyslog(bool on, const std::string& ident);
void LogLine(LogLevel level, std::string_view text);
inline void LogWarning(std::string_view text) { LogLine(LogLevel::kWarning, text); }
inline void LogNotice(std::string_view text) { LogLine(LogLevel::kNotice, text); }
inline void LogVerbose(std::string_view text) { LogLine(LogLevel::kVerbose, text); }
inline void LogDebug(std::string_view text) { LogLine(LogLevel::kDebug, text); }

}  // namespace brim
