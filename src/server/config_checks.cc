#include "server/config_checks.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstring>
#include <thread>
#include <vector>

#include "base/ascii.h"
#include "base/numbers.h"
#include "base/quoting.h"
#include "server/config_table.h"
#include "server/log.h"
#include "server/memory_policy.h"
#include "server/process_title.h"
#include "store/notify.h"

namespace brim {

namespace {

using Words = std::vector<std::string>;

Words WordsOf(const std::string& text) {
  Words words;
  SplitWords(text, &words);
  return words;
}

bool Refuse(std::string* reason, const char* text) {
  *reason = text;
  return false;
}

bool ReadInt(const std::string& word, int64_t* value) { return ParseInt64(word, value); }

ProtectedAction ActionOf(const std::string& text) {
  return text == "yes" ? ProtectedAction::kYes : text == "local" ? ProtectedAction::kLocal : ProtectedAction::kNo;
}

struct NotifyLetter {
  char letter;
  uint32_t classes;
};
// In the order in which CONFIG GET prints them.
constexpr NotifyLetter kNotifyLetters[] = {
    {'g', kNotifyGeneric}, {'$', kNotifyString},   {'l', kNotifyList},     {'s', kNotifySet},     {'h', kNotifyHash},
    {'z', kNotifyZset},    {'x', kNotifyExpired},  {'e', kNotifyEvicted},  {'t', kNotifyStream},  {'d', kNotifyModule},
    {'n', kNotifyNew},     {'K', kNotifyKeyspace}, {'E', kNotifyKeyevent}, {'m', kNotifyKeyMiss},
};
constexpr uint32_t kNotifyAll = kNotifyGeneric | kNotifyString | kNotifyList | kNotifySet | kNotifyHash | kNotifyZset |
                                kNotifyExpired | kNotifyEvicted | kNotifyStream | kNotifyModule;

}  // namespace

bool ParseNotifyClasses(std::string_view letters, uint32_t* classes) {
  uint32_t found = 0;
  for (char c : letters) {
    if (c == 'A') {
      found |= kNotifyAll;
      continue;
    }
    const auto* known = std::find_if(std::begin(kNotifyLetters), std::end(kNotifyLetters),
                                     [c](const NotifyLetter& each) { return each.letter == c; });
    if (known == std::end(kNotifyLetters)) return false;
    found |= known->classes;
  }
  *classes = found;
  return true;
}

std::string NotifyLetters(uint32_t classes) {
  std::string letters;
  bool all = (classes & kNotifyAll) == kNotifyAll;
  if (all) letters = "A";
  for (const NotifyLetter& each : kNotifyLetters) {
    if (all && (each.classes & (kNotifyAll | kNotifyNew))) continue;
    if (classes & each.classes) letters += each.letter;
  }
  return letters;
}

bool ApplyBind(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  constexpr size_t kAddressesMax = 16;
  Words words = WordsOf(text);
  if (words.size() > kAddressesMax) return Refuse(reason, "Too many bind addresses specified.");
  if (words.size() == 1 && words[0].empty()) words.clear();  // bind "": nowhere
  config.bind = words;
  canonical->clear();
  for (const std::string& word : words) *canonical += (canonical->empty() ? "" : " ") + word;
  return true;
}

// 0, the default, stands for the cores, up to 8.
bool ApplyThreads(Config& config, const std::string& text, std::string* canonical, std::string*) {
  int64_t threads = 0;
  ReadInt(text, &threads);
  if (threads == 0) threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 8);
  config.threads = static_cast<int>(threads);
  *canonical = std::to_string(threads);
  return true;
}

// As redis-server: the process goes there at once. CONFIG GET shows where it is.
bool ApplyDir(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  if (!text.empty() && chdir(text.c_str()) != 0) return Refuse(reason, strerror(errno));
  char path[PATH_MAX];
  *canonical = getcwd(path, sizeof(path)) != nullptr ? path : text;
  config.dir = *canonical;
  return true;
}

bool ApplyHz(Config& config, const std::string& text, std::string* canonical, std::string*) {
  int64_t hz = 0;
  ReadInt(text, &hz);
  config.hz = static_cast<int>(std::clamp<int64_t>(hz, 1, 500));
  *canonical = std::to_string(config.hz);
  return true;
}

bool ApplyDebugCommand(Config& config, const std::string& text, std::string*, std::string*) {
  config.enable_debug_command = ActionOf(text);
  return true;
}

bool ApplyModuleCommand(Config& config, const std::string& text, std::string*, std::string*) {
  config.enable_module_command = ActionOf(text);
  return true;
}

bool ApplyProtectedConfigs(Config& config, const std::string& text, std::string*, std::string*) {
  config.enable_protected_configs = text != "no";
  return true;
}

bool ApplyPolicy(Config& config, const std::string& text, std::string*, std::string*) {
  for (int i = 0; i <= static_cast<int>(EvictionPolicy::kVolatileLrm); i++) {
    if (text == PolicyName(static_cast<EvictionPolicy>(i))) config.maxmemory_policy = static_cast<EvictionPolicy>(i);
  }
  return true;
}

bool ApplyNotify(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  uint32_t classes;
  if (!ParseNotifyClasses(text, &classes))
    return Refuse(reason, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
  config.notify_keyspace_events = classes;
  *canonical = NotifyLetters(classes);
  return true;
}

bool ApplyOutputLimits(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  constexpr const char* kClasses[] = {"normal", "slave", "pubsub"};
  Words words = WordsOf(text);
  if (words.size() % 4 != 0) return Refuse(reason, "Wrong number of arguments in buffer limit configuration.");
  ClientLimit limits[3];
  std::copy(std::begin(config.client_output_buffer_limit), std::end(config.client_output_buffer_limit), limits);
  for (size_t i = 0; i < words.size(); i += 4) {
    int client_class = EqualsNoCase(words[i], "normal")                                       ? 0
                       : EqualsNoCase(words[i], "slave") || EqualsNoCase(words[i], "replica") ? 1
                       : EqualsNoCase(words[i], "pubsub")                                     ? 2
                                                                                              : -1;
    if (client_class < 0) return Refuse(reason, "Invalid client class specified in buffer limit configuration.");
    ClientLimit limit;
    if (!ParseMemorySize(words[i + 1], &limit.hard_bytes) || !ParseMemorySize(words[i + 2], &limit.soft_bytes) ||
        !ReadInt(words[i + 3], &limit.soft_seconds) || limit.soft_seconds < 0) {
      return Refuse(reason, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    limits[client_class] = limit;
  }
  std::copy(std::begin(limits), std::end(limits), config.client_output_buffer_limit);
  canonical->clear();
  for (int i = 0; i < 3; i++) {
    *canonical += std::string(i == 0 ? "" : " ") + kClasses[i] + " " + std::to_string(limits[i].hard_bytes) + " " +
                  std::to_string(limits[i].soft_bytes) + " " + std::to_string(limits[i].soft_seconds);
  }
  return true;
}

bool ApplyDbFileName(Config& config, const std::string& text, std::string*, std::string* reason) {
  if (text.find('/') != std::string::npos) return Refuse(reason, "dbfilename can't be a path, just a filename");
  config.dbfilename = text;
  return true;
}

bool ApplyAppendFileName(Config& config, const std::string& text, std::string*, std::string* reason) {
  if (text.empty()) return Refuse(reason, "appendfilename can't be empty");
  if (text.find('/') != std::string::npos) return Refuse(reason, "appendfilename can't be a path, just a filename");
  config.appendfilename = text;
  return true;
}

bool ApplyAppendDirName(Config& config, const std::string& text, std::string*, std::string* reason) {
  if (text.empty()) return Refuse(reason, "appenddirname can't be empty");
  if (text.find('/') != std::string::npos) return Refuse(reason, "appenddirname can't be a path, just a dirname");
  config.appenddirname = text;
  return true;
}

bool CheckHostname(Config&, const std::string& text, std::string*, std::string* reason) {
  if (text.size() >= 256) return Refuse(reason, "Hostnames must be less than 256 characters");
  bool valid = std::all_of(text.begin(), text.end(),
                           [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.'; });
  return valid || Refuse(reason, "Hostnames may only contain alphanumeric characters, hyphens or dots");
}

bool ApplyTitleTemplate(Config& config, const std::string& text, std::string*, std::string* reason) {
  std::string title;
  if (!ExpandTitle(text, config, "", &title) || title.empty()) {
    return Refuse(reason, "template format is invalid or contains unknown variables");
  }
  config.proc_title_template = text;
  return true;
}

// Less than the least that works is taken for that, as redis-server takes it.
bool ApplyBacklogSize(Config& config, const std::string& text, std::string* canonical, std::string*) {
  constexpr int64_t kBacklogBytesMin = 16 << 10;
  int64_t bytes = 0;
  ReadInt(text, &bytes);
  config.repl_backlog_size = std::max(bytes, kBacklogBytesMin);
  *canonical = std::to_string(config.repl_backlog_size);
  return true;
}

bool ApplyPercentiles(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  std::vector<double> percentiles;
  Words words;  // before *canonical changes: it may be the text
  if (!SplitWords(text, &words)) return Refuse(reason, "Invalid latency-tracking-info-percentiles parameters");
  canonical->clear();
  for (const std::string& word : words) {
    if (word.empty()) continue;
    double value;
    if (!ParseDouble(word, &value)) return Refuse(reason, "Invalid latency-tracking-info-percentiles parameters");
    if (value < 0 || value > 100) {
      return Refuse(reason, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    *canonical += (canonical->empty() ? "" : " ") + ShortDecimal(value);
    percentiles.push_back(value);
  }
  config.latency_percentiles = std::move(percentiles);
  return true;
}

namespace {

// "80%" as -80, or bytes.
bool ReadPercentOrMemory(const std::string& text, int64_t* value, std::string* canonical, std::string* reason) {
  if (text.ends_with('%')) {
    if (!ReadInt(text.substr(0, text.size() - 1), value) || *value < 0) {
      return Refuse(reason, "argument must be a memory or percent value");
    }
    if (*value > 100) return Refuse(reason, "percentage argument must be less or equal to 100");
    *value = -*value;
    return true;
  }
  bool too_large;
  if (!ParseMemorySize(text, value, &too_large)) {
    // redis-server takes such a number for a negative one, and those for percentages.
    return Refuse(reason, too_large ? "percentage argument must be less or equal to 100"
                                    : "argument must be a memory or percent value");
  }
  *canonical = std::to_string(*value);
  return true;
}

}  // namespace

bool ApplyMaxmemory(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  if (text.ends_with('%')) return ReadPercentOrMemory(text, &config.maxmemory, canonical, reason);
  int64_t value = 0;
  // Without a percent sign the answers are redis-server's.
  bool too_large;
  if (!text.empty() && !ParseMemorySize(text, &value, &too_large)) {
    return Refuse(reason, too_large ? "argument must be between 0 and 9223372036854775807 inclusive"
                                    : "argument must be a memory value");
  }
  config.maxmemory = value;
  *canonical = std::to_string(value);
  return true;
}

bool ApplyMaxmemoryClients(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  return ReadPercentOrMemory(text, &config.maxmemory_clients, canonical, reason);
}

bool ApplyOomScores(Config& config, const std::string& text, std::string*, std::string* reason) {
  Words words = WordsOf(text);
  if (words.size() != 3) return Refuse(reason, "wrong number of arguments");
  int64_t before = -2000;
  bool ascending = true;
  for (const std::string& word : words) {
    int64_t value;
    if (!ReadInt(word, &value) || value < -2000 || value > 2000) {
      return Refuse(reason, "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    }
    ascending = ascending && value >= before;
    before = value;
    config.oom_score_adj_values[static_cast<size_t>(&word - words.data())] = static_cast<int>(value);
  }
  if (!ascending) {
    LogWarning(
        "The oom-score-adj-values configuration may not work for non-privileged processes! Please consult the "
        "documentation.");
  }
  return true;
}

bool CheckReplicaOf(Config&, const std::string& text, std::string* canonical, std::string* reason) {
  Words words = WordsOf(text);
  if (words.empty()) return true;
  if (words.size() != 2) return Refuse(reason, "wrong number of arguments");
  if (EqualsNoCase(words[0], "no") && EqualsNoCase(words[1], "one")) {
    canonical->clear();
    return true;
  }
  int64_t port;
  if (!ReadInt(words[1], &port) || port < 0 || port > 65535) return Refuse(reason, "Invalid master port");
  return true;
}

bool ApplySave(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  Words words;
  if (!SplitWords(text, &words)) return Refuse(reason, "Invalid save parameters");
  // "60 1000" as one word, as a shell hands it over.
  if (words.size() == 1 && words[0].find(' ') != std::string::npos) words = WordsOf(words[0]);
  if (words.size() == 1 && words[0].empty()) words.clear();
  if (words.size() % 2 != 0) return Refuse(reason, "Invalid save parameters");
  canonical->clear();
  std::vector<SavePoint> points;
  for (size_t i = 0; i < words.size(); i += 2) {
    int64_t seconds;
    int64_t changes;
    if (!ReadInt(words[i], &seconds) || !ReadInt(words[i + 1], &changes) || seconds < 1 || changes < 0) {
      return Refuse(reason, "Invalid save parameters");
    }
    *canonical += (canonical->empty() ? "" : " ") + words[i] + " " + words[i + 1];
    points.push_back({seconds, static_cast<uint64_t>(changes)});
  }
  config.save_points = std::move(points);
  return true;
}

namespace {

bool ReadShutdownFlags(const std::string& text, ShutdownFlags* out, std::string* canonical, std::string* reason) {
  ShutdownFlags flags;
  bool by_default = false;
  struct Name {
    const char* word;
    bool* flag;
  };
  const Name names[] = {{"default", &by_default},
                        {"save", &flags.save},
                        {"nosave", &flags.nosave},
                        {"now", &flags.now},
                        {"force", &flags.force}};
  Words words = WordsOf(text);
  if (words.empty()) words.emplace_back();
  for (const std::string& word : words) {
    bool known = false;
    for (const Name& name : names) {
      if (!EqualsNoCase(word, name.word)) continue;
      known = *name.flag = true;
    }
    if (!known) return Refuse(reason, "argument(s) must be one of the following: default, save, nosave, now, force");
  }
  if (flags.save && flags.nosave)
    return Refuse(reason, "shutdown options SAVE and NOSAVE can't be used simultaneously");
  canonical->clear();
  for (const Name& name : names) {
    if (*name.flag && name.flag != &by_default) *canonical += (canonical->empty() ? "" : " ") + std::string(name.word);
  }
  if (canonical->empty()) *canonical = "default";
  *out = flags;
  return true;
}

}  // namespace

bool ApplySigint(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  return ReadShutdownFlags(text, &config.shutdown_on_sigint, canonical, reason);
}

bool ApplySigterm(Config& config, const std::string& text, std::string* canonical, std::string* reason) {
  return ReadShutdownFlags(text, &config.shutdown_on_sigterm, canonical, reason);
}

}  // namespace brim
