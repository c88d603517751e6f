#include "server/log.h"

#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

namespace brim {

namespace {

std::mutex mutex;
LogLevel threshold = LogLevel::kNotice;
std::string log_file;
bool to_syslog = false;
std::string syslog_ident;

}  // namespace

void SetLog(LogLevel level, const std::string& file) {
  std::lock_guard guard(mutex);
  threshold = level;
  log_file = file;
}

void SetSyslog(bool on, const std::string& ident) {
  std::lock_guard guard(mutex);
  to_syslog = on;
  syslog_ident = ident;
  if (on) openlog(syslog_ident.c_str(), LOG_PID | LOG_NDELAY | LOG_NOWAIT, LOG_LOCAL0);
}

void LogLine(LogLevel level, std::string_view text) {
  std::lock_guard guard(mutex);
  if (level < threshold) return;
  // Opened for each line, so that rotated files are followed.
  FILE* out = log_file.empty() ? stdout : fopen(log_file.c_str(), "a");
  if (out == nullptr) return;
  timeval now;
  gettimeofday(&now, nullptr);
  tm parts;
  localtime_r(&now.tv_sec, &parts);
  char when[64];
  size_t n = strftime(when, sizeof when, "%d %b %Y %H:%M:%S.", &parts);
  snprintf(when + n, sizeof when - n, "%03d", static_cast<int>(now.tv_usec / 1000));
  fprintf(out, "%d:M %s %c %.*s\n", static_cast<int>(getpid()), when, ".-*#"[static_cast<int>(level)],
          static_cast<int>(text.size()), text.data());
  fflush(out);
  if (out != stdout) fclose(out);
  constexpr int kPriorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING};
  if (to_syslog) syslog(kPriorities[static_cast<int>(level)], "%.*s", static_cast<int>(text.size()), text.data());
}

}  // namespace brim
