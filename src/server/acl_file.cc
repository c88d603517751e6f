#include "server/acl_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

#include "persist/append_file.h"

namespace brim {

namespace {

bool ReadWhole(const std::string& path, std::string* text) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char buffer[1 << 14];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) text->append(buffer, static_cast<size_t>(got));
  int reason = errno;
  close(fd);
  errno = reason;
  return got == 0;
}

std::string_view Trim(std::string_view text, const char* what) {
  size_t begin = text.find_first_not_of(what);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(what) - begin + 1);
}

// Parts at each single blank, so that two of them have an empty word between them; nothing is quoted here.
std::vector<std::string> SplitAtBlanks(std::string_view line) {
  std::vector<std::string> words;
  for (;;) {
    size_t blank = line.find(' ');
    words.emplace_back(line.substr(0, blank));
    if (blank == std::string_view::npos) return words;
    line.remove_prefix(blank + 1);
  }
}

// Reads line after line, collecting what is wrong.
class FileReader {
 public:
  FileReader(const std::string& path, std::vector<User>* users, std::string* errors)
      : path_(path), users_(users), errors_(errors) {}

  void Line(std::string_view line, int number) {
    line = Trim(line, " \t\r\n");
    if (line.empty()) return;
    place_ = path_ + ":" + std::to_string(number);
    std::vector<std::string> words = SplitAtBlanks(line);
    if (words.size() < 2 || words[0] != "user") {
      *errors_ += place_ + " should start with user keyword followed by the username. ";
    } else if (HasBlanks(words[1])) {
      *errors_ += "'" + place_ + ": username '" + words[1] + "' contains invalid characters. ";
    } else if (!names_.insert(words[1]).second) {
      *errors_ += "WARNING: Duplicate user '" + words[1] + "' found on line " + std::to_string(number) + ". ";
    } else {
      Rules(words);
    }
  }

 private:
  void Rules(const std::vector<std::string>& words) {
    std::vector<std::string> rules;
    std::string open;
    if (!JoinSelectors({words.begin() + 2, words.end()}, &rules, &open)) {
      *errors_ += place_ + ": Unmatched parenthesis in selector definition.";
      return;
    }
    User user(words[1]);
    bool told = false;
    for (const std::string& each : rules) {
      std::string rule(Trim(each, "\t\r\n"));
      RuleError error = ApplyRule(&user, rule);
      if (error == RuleError::kUnknownCommand) {
        *errors_ += place_ + ": Error in applying operation '" + rule + "': " + RuleErrorText(error) + ". ";
      } else if (error != RuleError::kNone && !std::exchange(told, true)) {
        *errors_ += place_ + ": " + RuleErrorText(error) + ". ";
      }
    }
    user.Settle();
    users_->push_back(std::move(user));
  }

  const std::string& path_;
  std::vector<User>* users_;
  std::string* errors_;
  std::string place_;
  std::set<std::string> names_;
};

}  // namespace

bool AddUserLine(const std::vector<std::string>& words, std::vector<std::vector<std::string>>* users,
                 std::string* reason) {
  auto refuse = [reason](const std::string& what, const char* why) {
    *reason = "Error in user declaration '" + what + "': " + why;
    return false;
  };
  bool known = std::any_of(users->begin(), users->end(), [&](const auto& each) { return each[0] == words[0]; });
  if (known) return refuse(words[0], "Duplicate user found. A user can only be defined once in config files");
  std::vector<std::string> rules{words[0]};
  std::string open;
  if (!JoinSelectors({words.begin() + 1, words.end()}, &rules, &open)) {
    return refuse(open, "Unmatched parenthesis in selector definition");
  }
  User user(words[0]);
  for (size_t i = 1; i < rules.size(); i++) {
    RuleError error = ApplyRule(&user, rules[i]);
    if (error != RuleError::kNone && error != RuleError::kUnknownCommand) return refuse(rules[i], RuleErrorText(error));
  }
  users->push_back(std::move(rules));
  return true;
}

bool ReadUsers(const std::string& path, std::vector<User>* users, std::string* errors) {
  std::string text;
  if (!ReadWhole(path, &text)) {
    *errors = "Error loading ACLs, opening file '" + path + "': " + strerror(errno);
    return false;
  }
  FileReader reader(path, users, errors);
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); number++) {
    size_t end = std::min(rest.find('\n'), rest.size());
    reader.Line(rest.substr(0, end), number);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (errors->empty()) return true;
  *errors += "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
  return false;
}

bool WriteUsers(const std::string& path, const std::vector<std::string>& lines, std::string* reason) {
  static std::mutex one_at_a_time;  // they share the temporary name
  std::lock_guard guard(one_at_a_time);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return ReplaceFile(folder, slash == std::string::npos ? path : path.substr(slash + 1), text, reason);
}

}  // namespace brim
