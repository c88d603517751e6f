#include "server/acl_rules.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/quoting.h"
#include "base/sha256.h"

namespace brim {

namespace {

constexpr size_t kHashDigits = 64;
constexpr uint8_t kReadWrite = kMayRead | kMayWrite;

// Up to a zero byte, which ends the words of rules as it does in redis-server.
std::string_view Word(std::string_view rule) { return rule.substr(0, rule.find('\0')); }

bool IsHash(std::string_view text) {
  return text.size() == kHashDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void SetCommands(Selector* selector, const Command& command, bool allow) {
  CommandSet reach = CommandCatalog::Reach(command);
  selector->commands = allow ? selector->commands | reach : selector->commands & ~reach;
  if (!allow) selector->all_commands = false;
  selector->first_arguments.erase(command.id);
}

void SetAllCommands(Selector* selector, bool allow) {
  allow ? selector->commands.set() : selector->commands.reset();
  selector->all_commands = allow;
  selector->first_arguments.clear();
}

RuleError SetCategory(Selector* selector, std::string_view name, bool allow) {
  int category = CommandCatalog::FindCategory(name);
  if (category < 0) return RuleError::kUnknownCommand;
  const CommandSet& reach = command_catalog.Reach(category);
  selector->commands = allow ? selector->commands | reach : selector->commands & ~reach;
  if (!allow && reach.any()) selector->all_commands = false;
  const CommandSet& members = command_catalog.Members(category);
  std::erase_if(selector->first_arguments,
                [&](const auto& each) { return members.test(static_cast<size_t>(each.first)); });
  return RuleError::kNone;
}

// "select|0": the command with that first argument only, unless it is a container with such a subcommand.
RuleError AllowPart(Selector* selector, std::string_view name) {
  size_t bar = name.rfind('|');
  std::string_view part = name.substr(bar + 1);
  const Command* command = command_catalog.Find(name.substr(0, bar));
  if (command == nullptr) return RuleError::kUnknownCommand;
  if (command->container != nullptr) return RuleError::kFirstArgumentOfSubcommand;
  if (part.empty() || HasBlanks(part)) return RuleError::kSyntax;  // in a file it would become two words
  if (!command->subcommands.empty()) {
    const Command* sub = command_catalog.Find(name);
    if (sub == nullptr) return RuleError::kUnknownCommand;
    SetCommands(selector, *sub, true);
    return RuleError::kNone;
  }
  auto& arguments = selector->first_arguments[command->id];
  if (std::none_of(arguments.begin(), arguments.end(), [part](auto& each) { return EqualsNoCase(each, part); }))
    arguments.emplace_back(part);
  return RuleError::kNone;
}

RuleError ApplyCommandRule(Selector* selector, std::string_view rule) {
  bool allow = rule[0] == '+';
  std::string_view name = rule.substr(1);
  if (name.starts_with('@')) return SetCategory(selector, name.substr(1), allow);
  if (allow && name.find('|') != std::string_view::npos) return AllowPart(selector, name);
  const Command* command = command_catalog.Find(name);
  if (command == nullptr) return RuleError::kUnknownCommand;
  SetCommands(selector, *command, allow);
  return RuleError::kNone;
}

// "~pattern", or "%R~pattern" with the letters of what is allowed.
RuleError AddKeyPattern(Selector* selector, std::string_view rule) {
  if (selector->all_keys) return RuleError::kAfterAllKeys;
  uint8_t access = rule[0] == '~' ? kReadWrite : 0;
  size_t at = 1;
  for (; rule[0] == '%' && at < rule.size(); at++) {
    char letter = LowerChar(rule[at]);
    uint8_t bit = letter == 'r' ? kMayRead : letter == 'w' ? kMayWrite : 0;
    if (letter == '~') {
      at++;
      break;
    }
    if (bit == 0 || (access & bit)) return RuleError::kSyntax;
    access |= bit;
  }
  std::string_view pattern = rule.substr(at);
  if (access == 0 || HasBlanks(pattern)) return RuleError::kSyntax;
  auto same = std::find_if(selector->keys.begin(), selector->keys.end(),
                           [pattern](const KeyPattern& each) { return each.pattern == pattern; });
  if (same != selector->keys.end()) {
    same->access |= access;
  } else {
    selector->keys.push_back({std::string(pattern), access});
  }
  return RuleError::kNone;
}

RuleError AddChannelPattern(Selector* selector, std::string_view rule) {
  if (selector->all_channels) return RuleError::kAfterAllChannels;
  std::string_view pattern = rule.substr(1);
  if (HasBlanks(pattern)) return RuleError::kSyntax;
  if (std::find(selector->channels.begin(), selector->channels.end(), pattern) == selector->channels.end())
    selector->channels.emplace_back(pattern);
  return RuleError::kNone;
}

void SetAllKeys(Selector* selector, bool all) {
  selector->all_keys = all;
  selector->keys.clear();
}

void SetAllChannels(Selector* selector, bool all) {
  selector->all_channels = all;
  selector->channels.clear();
}

RuleError ApplySelectorRule(Selector* selector, std::string_view rule) {
  std::string_view word = Word(rule);
  auto is = [word](std::string_view name) { return EqualsNoCase(word, name); };
  if (is("allkeys") || is("~*") || is("resetkeys")) {
    SetAllKeys(selector, !is("resetkeys"));
  } else if (is("allchannels") || is("&*") || is("resetchannels")) {
    SetAllChannels(selector, !is("resetchannels"));
  } else if (is("allcommands") || is("+@all") || is("nocommands") || is("-@all")) {
    SetAllCommands(selector, is("allcommands") || is("+@all"));
  } else if (rule.starts_with('~') || rule.starts_with('%')) {
    return AddKeyPattern(selector, rule);
  } else if (rule.starts_with('&')) {
    return AddChannelPattern(selector, rule);
  } else if (word.starts_with('+') || word.starts_with('-')) {
    return ApplyCommandRule(selector, word);
  } else {
    return RuleError::kSyntax;
  }
  return RuleError::kNone;
}

// ">password" and "#hash" add one, "<password" and "!hash" take it away.
RuleError ApplyPasswordRule(User* user, std::string_view rule) {
  bool plain = rule[0] == '>' || rule[0] == '<';
  bool add = rule[0] == '>' || rule[0] == '#';
  if (!plain && !IsHash(rule.substr(1))) return RuleError::kBadHash;
  std::string hash = plain ? Sha256Hex(rule.substr(1)) : std::string(rule.substr(1));
  auto at = std::find(user->passwords.begin(), user->passwords.end(), hash);
  if (add) {
    if (at == user->passwords.end()) user->passwords.push_back(std::move(hash));
    user->no_password = false;
    return RuleError::kNone;
  }
  if (at == user->passwords.end()) return RuleError::kNoSuchPassword;
  user->passwords.erase(at);
  return RuleError::kNone;
}

RuleError AddSelector(User* user, std::string_view rule) {
  std::vector<std::string> rules;
  // What cannot be split allows nothing, as in redis-server.
  if (!SplitWords(rule.substr(1, rule.size() - 2), &rules)) rules.clear();
  Selector selector;
  for (const std::string& each : rules) {
    RuleError error = ApplySelectorRule(&selector, each);
    if (error != RuleError::kNone) return error;
  }
  user->selectors.push_back(std::move(selector));
  return RuleError::kNone;
}

void SetPasswordless(User* user, bool on) {
  user->no_password = on;
  user->passwords.clear();
}

void Reset(User* user) {
  SetPasswordless(user, false);
  user->selectors.assign(1, Selector());
  user->enabled = false;
  user->payload_check = PayloadCheck::kOn;
}

}  // namespace

void User::Settle() {
  unrestricted = std::any_of(selectors.begin(), selectors.end(),
                             [](const Selector& s) { return s.all_commands && s.all_keys && s.all_channels; });
}

const char* RuleErrorText(RuleError error) {
  switch (error) {
    case RuleError::kUnknownCommand:
      return "Unknown command or category name in ACL";
    case RuleError::kAfterAllKeys:
      return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. "
             "Try 'resetkeys' to start with an empty list of patterns";
    case RuleError::kAfterAllChannels:
      return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any "
             "effect. Try 'resetchannels' to start with an empty list of channels";
    case RuleError::kNoSuchPassword:
      return "The password you are trying to remove from the user does not exist";
    case RuleError::kBadHash:
      return "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
    case RuleError::kFirstArgumentOfSubcommand:
      return "Allowing first-arg of a subcommand is not supported";
    default:
      return "Syntax error";
  }
}

RuleError ApplyRule(User* user, std::string_view rule) {
  if (rule.empty()) return RuleError::kNone;
  std::string_view word = Word(rule);
  auto is = [word](std::string_view name) { return EqualsNoCase(word, name); };
  if (is("on") || is("off")) {
    user->enabled = is("on");
  } else if (is("sanitize-payload") || is("skip-sanitize-payload")) {
    user->payload_check = is("sanitize-payload") ? PayloadCheck::kOn : PayloadCheck::kOff;
  } else if (is("nopass") || is("resetpass")) {
    SetPasswordless(user, is("nopass"));
  } else if (std::string_view("><#!").find(rule[0]) != std::string_view::npos) {
    return ApplyPasswordRule(user, rule);
  } else if (rule.size() > 1 && rule.front() == '(' && rule.back() == ')') {
    return AddSelector(user, rule);
  } else if (is("clearselectors")) {
    user->selectors.resize(1);
  } else if (is("reset")) {
    Reset(user);
  } else {
    return ApplySelectorRule(&user->selectors.front(), rule);
  }
  return RuleError::kNone;
}

bool JoinSelectors(const std::vector<std::string>& words, std::vector<std::string>* rules, std::string* open) {
  bool inside = false;
  std::string selector;
  for (const std::string& word : words) {
    if (word.starts_with('(') && !word.ends_with(')')) {
      selector = *open = word;
      inside = true;
    } else if (!inside) {
      rules->push_back(word);
    } else {
      selector += " " + word;
      if (!word.ends_with(')')) continue;
      rules->push_back(selector);
      inside = false;
    }
  }
  return !inside;
}

bool HasBlanks(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return IsBlank(c) || c == '\0'; });
}

}  // namespace brim
