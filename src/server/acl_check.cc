#include "server/acl_check.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/glob.h"
#include "base/thread_exit.h"
#include "command/keys.h"
#include "resp/errors.h"

namespace brim {

namespace {

// What a pattern has to allow for a key of these flags. A key that is neither read nor changed (EXISTS) needs only to
// be in a pattern.
uint8_t AccessFor(uint16_t flags) {
  uint8_t access = flags & kKeyAccess ? kMayRead : 0;
  if (flags & (kKeyInsert | kKeyDelete | kKeyUpdate)) access |= kMayWrite;
  return access;
}

bool KeyFits(const Selector& selector, std::string_view key, uint8_t access) {
  if (selector.all_keys) return true;
  return std::any_of(selector.keys.begin(), selector.keys.end(), [&](const KeyPattern& each) {
    return (each.access & access) == access && GlobMatch(each.pattern, key, false);
  });
}

bool CommandFits(const Selector& selector, const Command& command, std::span<const std::string_view> argv) {
  if (selector.all_commands || (command.flags & kNoAuth) || selector.Has(command)) return true;
  auto arguments = selector.first_arguments.find(command.id);
  if (argv.size() < 2 || arguments == selector.first_arguments.end()) return false;
  return std::any_of(arguments->second.begin(), arguments->second.end(), [&](const std::string& each) {
    return EqualsNoCase(each, argv[1].substr(0, argv[1].find('\0')));
  });
}

// Kept from one command to the next; one is checked at a time.
thread_local constinit std::vector<KeyPosition>* kept_positions = nullptr;

void FreePositions() { delete std::exchange(kept_positions, nullptr); }

std::vector<KeyPosition>& KeptPositions() {
  if (kept_positions == nullptr) {
    kept_positions = new std::vector<KeyPosition>();
    ThreadExit<FreePositions>::Arm();
  }
  return *kept_positions;
}

// The command's keys, found when a selector first asks.
class Keys {
 public:
  Keys(const Command& command, std::span<const std::string_view> argv) : command_(command), argv_(argv) {}
  ~Keys() {
    if (positions_.capacity() > kPositionsKept) std::vector<KeyPosition>().swap(positions_);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  const std::vector<KeyPosition>& Get() {
    if (!std::exchange(found_, true)) {
      positions_.clear();
      // Keys that cannot be told are the handler's to complain about.
      if (!FindKeys(command_, argv_, &positions_)) positions_.clear();
      std::erase_if(positions_, [](const KeyPosition& key) { return (key.flags & kKeyNotKey) != 0; });
    }
    return positions_;
  }

 private:
  const Command& command_;
  std::span<const std::string_view> argv_;
  bool found_ = false;
  static constexpr size_t kPositionsKept = 1024;
  std::vector<KeyPosition>& positions_ = KeptPositions();
};

bool HasKeys(const Command& command) { return command.first_key != 0 || !command.simple_keys; }

// False with the first channel argument that is not allowed in *index.
bool ChannelsFit(const Selector& selector, const Command& command, std::span<const std::string_view> argv,
                 size_t* index) {
  ChannelUse use = command_catalog.channels(command);
  if (use == ChannelUse::kNone || selector.all_channels) return true;
  size_t end = use == ChannelUse::kFirst ? 2 : argv.size();
  for (size_t i = 1; i < std::min(end, argv.size()); i++) {
    if (ChannelFits(selector.channels, argv[i], use == ChannelUse::kPatterns)) continue;
    *index = i;
    return false;
  }
  return true;
}

AclVerdict CheckSelector(const Selector& selector, const Command& command, std::span<const std::string_view> argv,
                         Keys* keys, size_t* index) {
  if (!CommandFits(selector, command, argv)) return AclVerdict::kCommand;
  if (!selector.all_keys && HasKeys(command)) {
    for (const KeyPosition& key : keys->Get()) {
      if (KeyFits(selector, argv[key.index], AccessFor(KeyFlagsOf(command, argv, key)))) continue;
      *index = key.index;
      return AclVerdict::kKey;
    }
  }
  return ChannelsFit(selector, command, argv, index) ? AclVerdict::kAllowed : AclVerdict::kChannel;
}

}  // namespace

// Of what the selectors deny, the one that came furthest is told, as redis-server tells it.
AclVerdict CheckAcl(const User& user, const Command& command, std::span<const std::string_view> argv, size_t* index) {
  AclVerdict worst = AclVerdict::kCommand;
  Keys keys(command, argv);
  size_t at = 0;
  *index = 0;
  for (const Selector& selector : user.selectors) {
    AclVerdict verdict = CheckSelector(selector, command, argv, &keys, &at);
    if (verdict == AclVerdict::kAllowed) return verdict;
    if (verdict < worst || (verdict == worst && at <= *index)) continue;
    worst = verdict;
    *index = at;
  }
  return worst;
}

bool MayReadEveryKey(const User& user, const Command& command, std::span<const std::string_view> argv) {
  Keys keys(command, argv);
  size_t at;
  return std::any_of(user.selectors.begin(), user.selectors.end(), [&](const Selector& selector) {
    if (CheckSelector(selector, command, argv, &keys, &at) != AclVerdict::kAllowed) return false;
    return selector.all_keys || std::any_of(selector.keys.begin(), selector.keys.end(), [](const KeyPattern& each) {
             return each.pattern == "*" && (each.access & kMayRead);
           });
  });
}

bool MayUseKey(const User& user, std::string_view key, uint8_t access) {
  return std::any_of(user.selectors.begin(), user.selectors.end(),
                     [&](const Selector& selector) { return KeyFits(selector, key, access); });
}

bool MayUseChannel(const User& user, std::string_view channel, bool is_pattern) {
  return std::any_of(user.selectors.begin(), user.selectors.end(), [&](const Selector& selector) {
    return selector.all_channels || ChannelFits(selector.channels, channel, is_pattern);
  });
}

bool ChannelFits(const std::vector<std::string>& allowed, std::string_view channel, bool is_pattern) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& each) {
    return is_pattern ? each == channel : GlobMatch(each, channel, false);
  });
}

std::string_view DeniedObject(AclVerdict verdict, const Command& command, std::span<const std::string_view> argv,
                              size_t index) {
  return verdict == AclVerdict::kCommand ? std::string_view(command.spec->name) : argv[index];
}

std::string DenialText(AclVerdict verdict, const Command& command) {
  if (verdict == AclVerdict::kKey) {
    return std::string(errors::kNoPermKey);
  }
  if (verdict == AclVerdict::kChannel) {
    return std::string(errors::kNoPermChannel);
  }
  return std::string(errors::kNoPermCommand) + command.spec->name + "' command";
}

std::string DenialAtExecText(AclVerdict verdict) {
  return std::string(errors::kNoPermAtExec) + (verdict == AclVerdict::kKey ? "no permission to touch the specified keys"
                                               : verdict == AclVerdict::kChannel
                                                   ? "no permission to access one of the channels used as arguments"
                                                   : "no permission to execute the command or subcommand");
}

const char* ScriptDenialText(AclVerdict verdict) {
  if (verdict == AclVerdict::kKey) return "can't access at least one of the keys mentioned in the command arguments";
  if (verdict == AclVerdict::kChannel) return "can't publish to the channel mentioned in the command";
  return "can't run this command or subcommand";
}

std::string DryRunText(AclVerdict verdict, const Command& command, std::span<const std::string_view> argv,
                       size_t index) {
  std::string_view object = DeniedObject(verdict, command, argv, index);
  std::string what(object.substr(0, object.find('\0')));
  if (verdict == AclVerdict::kCommand) return "This user has no permissions to run the '" + what + "' command";
  return "This user has no permissions to access the '" + what + (verdict == AclVerdict::kKey ? "' key" : "' channel");
}

}  // namespace brim
