#pragma once
// Users and the rules that make them: "on", ">password", "~key*", "+get", "-@dangerous", "(+set ~a*)". Plain data, no
// locks: docs/acl.md says who may change a user when.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/acl_catalog.h"

namespace brim {

// acl-pubsub-default: what a new user may listen to. Changed while every thread is paused.
inline bool all_channels_by_default = false;

enum KeyAccess : uint8_t { kMayRead = 1, kMayWrite = 2 };

struct KeyPattern {
  std::string pattern;
  uint8_t access;  // KeyAccess bits
};

// What a command is checked against: it has to fit one selector of the user in all of it.
struct Selector {
  bool all_commands = false;  // each one, those to come too: `commands` need not be asked
  bool all_keys = false;
  bool all_channels = all_channels_by_default;
  CommandSet commands;
  // Commands that are allowed with these first arguments only, by Command::id.
  std::map<int, std::vector<std::string>> first_arguments;
  std::vector<KeyPattern> keys;
  std::vector<std::string> channels;

  bool Has(const Command& command) const { return commands.test(static_cast<size_t>(command.id)); }
};

enum class PayloadCheck : uint8_t { kUnsaid, kOn, kOff };

// On lines of its own: each command of its connections reads `unrestricted`, while others count references beside it.
struct alignas(64) User {
  explicit User(std::string_view user_name) : name(user_name), selectors(1) {}
  // May do anything: checked by one look. Kept by Settle.
  bool unrestricted = false;
  bool enabled = false;
  bool no_password = false;  // any password will do
  PayloadCheck payload_check = PayloadCheck::kUnsaid;
  std::string name;
  std::vector<std::string> passwords;  // SHA-256, in hexadecimal digits
  std::vector<Selector> selectors;     // the first is made of the rules outside of parentheses

  // After the last rule.
  void Settle();
};

enum class RuleError : uint8_t {
  kNone,
  kUnknownCommand,
  kSyntax,
  kAfterAllKeys,
  kAfterAllChannels,
  kNoSuchPassword,
  kBadHash,
  kFirstArgumentOfSubcommand,
};
const char* RuleErrorText(RuleError error);

// Applies one rule. The user is unchanged by a rule that is refused.
RuleError ApplyRule(User* user, std::string_view rule);

// A selector may come in several words, "(~a" "+get)": each is made one. False when one has no end; *open is then where
// it begins.
bool JoinSelectors(const std::vector<std::string>& words, std::vector<std::string>* rules, std::string* open);

// Blanks and zero bytes cannot stand in names of users, nor in patterns.
bool HasBlanks(std::string_view text);

// --- as rules again, in the form that redis-server gives them
std::string DescribeCommands(const Selector& selector);
std::string DescribeKeys(const Selector& selector);
std::string DescribeChannels(const Selector& selector);
// Names of what is set among on, off, nopass and the two of payloads.
std::vector<const char*> UserFlags(const User& user);
// "on #... ~* &* +@all": all of it, as ACL LIST, files and CONFIG REWRITE have it behind the name.
std::string DescribeUser(const User& user);

}  // namespace brim
