#include "server/oom_score.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace brim {

namespace {

constexpr char kScoreFile[] = "/proc/self/oom_score_adj";
constexpr int64_t kMinScore = -1000;
constexpr int64_t kMaxScore = 1000;

struct Score {
  bool is_changed = false;  // the process's score is ours
  int first = 0;            // what it was before
};

// Both return 0 or the system's error number.
int ReadScore(int* score) {
  int fd = open(kScoreFile, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  char text[32];
  ssize_t n = read(fd, text, sizeof text - 1);
  int failure = n < 0 ? errno : 0;
  close(fd);
  if (failure != 0) return failure;
  text[n] = 0;
  *score = static_cast<int>(strtol(text, nullptr, 10));
  return 0;
}

int WriteScore(int score) {
  char text[32];
  auto length = static_cast<size_t>(snprintf(text, sizeof text, "%d\n", score));
  int fd = open(kScoreFile, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int failure = write(fd, text, length) < 0 ? errno : 0;
  close(fd);
  return failure;
}

}  // namespace

bool ApplyOomScore(const std::string& mode, int value, std::string* error) {
  static Score score;
  bool is_relative = mode == "yes" || mode == "relative";
  bool is_wanted = is_relative || mode == "absolute";
  if (!is_wanted && !score.is_changed) return true;
  if (!score.is_changed) {  // somebody else may have set it since
    if (int failure = ReadScore(&score.first); failure != 0) {
      *error = "Unable to read oom_score_adj: " + std::string(strerror(failure));
      return false;
    }
  }
  int64_t wanted = score.first;
  if (is_wanted) wanted = std::clamp((is_relative ? wanted : 0) + value, kMinScore, kMaxScore);
  if (int failure = WriteScore(static_cast<int>(wanted)); failure != 0) {
    *error = "Unable to write oom_score_adj: " + std::string(strerror(failure));
    return false;
  }
  score.is_changed = is_wanted;
  return true;
}

}  // namespace brim
