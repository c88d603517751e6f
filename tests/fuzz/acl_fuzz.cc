// Access rules, a line each: a rule that is refused changes nothing; a user that is told and made of that again is the
// same; no command line makes the check fail. The text as a whole is read as an aclfile, too.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "command/registry.h"
#include "commands/tables.h"
#include "fuzz_input.h"
#include "server/acl_check.h"
#include "server/acl_file.h"
#include "server/server_commands.h"

namespace {

using namespace brim;

bool Prepare() {
  for (CommandTable table : {kStringCommands, kListCommands, kSortedSetAlgebraCommands, kSortCommands, kConfigCommands,
                             kConnectionCommands, kMigrateCommands}) {
    registry.Add(table);
  }
  registry.Freeze();
  command_catalog.Build();
  return true;
}

std::vector<std::string> Split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (;;) {
    size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

void Check(const User& user, const std::vector<std::string>& words) {
  std::vector<std::string_view> argv(words.begin(), words.end());
  const Command* container;
  const Command* command = registry.Resolve(argv, &container);
  if (command == nullptr || !command->ArityFits(argv.size())) return;
  size_t index;
  AclVerdict verdict = CheckAcl(user, *command, argv, &index);
  Require(index < argv.size());
  if (user.unrestricted) Require(verdict == AclVerdict::kAllowed);
  if (verdict != AclVerdict::kAllowed) DryRunText(verdict, *command, argv, index);
  MayReadEveryKey(user, *command, argv);
}

void ReadAgain(const User& user) {
  std::string told = DescribeUser(user);
  std::vector<std::string> rules;
  std::string open;
  Require(JoinSelectors(Split(told, ' '), &rules, &open));
  User again(user.name);
  for (const std::string& rule : rules) Require(ApplyRule(&again, rule) == RuleError::kNone);
  Require(DescribeUser(again) == told);
  again.Settle();
  Require(again.unrestricted == user.unrestricted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const bool prepared = Prepare();
  (void)prepared;
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  User user("x");
  for (const std::string& line : Split(text, '\n')) {
    std::string before = DescribeUser(user);
    if (ApplyRule(&user, line) != RuleError::kNone) Require(DescribeUser(user) == before);
    user.Settle();
    Check(user, Split(line, ' '));
  }
  ReadAgain(user);

  std::string path = "/tmp/brim-acl-fuzz-" + std::to_string(getpid());
  FILE* file = fopen(path.c_str(), "w");
  Require(file != nullptr && fwrite(bytes, 1, size, file) == size);
  fclose(file);
  std::vector<User> users;
  std::string errors;
  bool good = ReadUsers(path, &users, &errors);
  unlink(path.c_str());
  Require(good == errors.empty());
  if (good) {
    for (const User& each : users) ReadAgain(each);
  }
  return 0;
}
