// ACL: users, their rules, and what they were denied.
#include <sys/random.h>

#include <algorithm>
#include <string>
#include <vector>

#include "command/help.h"
#include "commands/arguments.h"
#include "server/acl.h"
#include "server/acl_check.h"
#include "server/acl_file.h"
#include "server/acl_log.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"
#include "server/worker.h"

namespace brim {

namespace {

constexpr int64_t kPasswordBitsMax = 4096;
constexpr int64_t kLogEntries = 10;

const Connection* Own(Context& context) { return &AsServer(context).connection(); }

// Texts in messages end at a zero byte, as redis-server's.
std::string Shown(std::string_view text) { return std::string(text.substr(0, text.find('\0'))); }

void AclSetuser(Context& context) {
  std::string_view name = context.arg(2);
  if (HasBlanks(name)) {
    context.reply().Error("ERR Usernames can't contain spaces or null characters");
    return;
  }
  std::vector<std::string> rules;
  std::string open;
  if (!JoinSelectors({context.argv().begin() + 3, context.argv().end()}, &rules, &open)) {
    context.reply().Error("ERR Unmatched parenthesis in acl selector starting at '" + Shown(open) + "'.");
    return;
  }
  // All rules or none.
  std::shared_ptr<User> present = acl.Find(name);
  User user = present != nullptr ? *present : User(name);
  for (const std::string& rule : rules) {
    RuleError error = ApplyRule(&user, rule);
    if (error == RuleError::kNone) continue;
    context.reply().Error("ERR Error in ACL SETUSER modifier '" + Shown(rule) + "': " + RuleErrorText(error));
    return;
  }
  acl.Put(std::move(user), Own(context));
  context.reply().Ok();
}

void AclDeluser(Context& context) {
  auto names = context.argv().subspan(2);
  if (std::find(names.begin(), names.end(), "default") != names.end()) {
    context.reply().Error("ERR The 'default' user cannot be removed");
    return;
  }
  int64_t removed = 0;
  for (std::string_view name : names) removed += acl.Remove(name, Own(context));
  context.reply().Integer(removed);
}

void WriteSelector(Reply& reply, const Selector& selector) {
  reply.Bulk("commands");
  reply.Bulk(DescribeCommands(selector));
  reply.Bulk("keys");
  reply.Bulk(DescribeKeys(selector));
  reply.Bulk("channels");
  reply.Bulk(DescribeChannels(selector));
}

void AclGetuser(Context& context) {
  Reply& reply = context.reply();
  std::shared_ptr<User> user = acl.Find(context.arg(2));
  if (user == nullptr) {
    reply.Null();
    return;
  }
  reply.MapHeader(6);
  reply.Bulk("flags");
  std::vector<const char*> flags = UserFlags(*user);
  reply.SetHeader(flags.size());
  for (const char* flag : flags) reply.Bulk(flag);
  reply.Bulk("passwords");
  reply.ArrayHeader(user->passwords.size());
  for (const std::string& hash : user->passwords) reply.Bulk(hash);
  WriteSelector(reply, user->selectors[0]);
  reply.Bulk("selectors");
  reply.ArrayHeader(user->selectors.size() - 1);
  for (size_t i = 1; i < user->selectors.size(); i++) {
    reply.MapHeader(3);
    WriteSelector(reply, user->selectors[i]);
  }
}

void AclList(Context& context) {
  std::vector<std::string> lines = acl.Lines();
  context.reply().ArrayHeader(lines.size());
  for (const std::string& line : lines) context.reply().Bulk(line);
}

void AclUsers(Context& context) {
  context.reply().ArrayHeader(acl.users().size());
  for (const auto& [name, user] : acl.users()) context.reply().Bulk(name);
}

void AclWhoami(Context& context) { context.reply().Bulk(Own(context)->user->name); }

void AclCat(Context& context) {
  Reply& reply = context.reply();
  if (context.argc() > 3) {
    context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" +
                          Shown(context.arg(1).substr(0, 128)) + "'. Try ACL HELP.");
    return;
  }
  if (context.argc() == 2) {
    reply.ArrayHeader(AclCategories().size());
    for (const BitName& each : AclCategories()) reply.Bulk(each.name);
    return;
  }
  int category = CommandCatalog::FindCategory(Shown(context.arg(2)));
  if (category < 0) {
    reply.Error("ERR Unknown category '" + Shown(context.arg(2).substr(0, 128)) + "'");
    return;
  }
  const CommandSet& members = command_catalog.Members(category);
  reply.ArrayHeader(members.count());
  for (const auto& command : registry.all()) {
    if (members.test(static_cast<size_t>(command->id))) reply.Bulk(command->spec->name);
  }
}

void AclGenpass(Context& context) {
  if (context.argc() > 3) {
    context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" +
                          Shown(context.arg(1).substr(0, 128)) + "'. Try ACL HELP.");
    return;
  }
  int64_t bits = 256;
  if (context.argc() == 3 && !ParseIntArg(context, 2, &bits)) return;
  if (bits <= 0 || bits > kPasswordBitsMax) {
    context.reply().Error(
        "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to " +
        std::to_string(kPasswordBitsMax));
    return;
  }
  uint8_t random[kPasswordBitsMax / 8];
  for (size_t have = 0; have < sizeof random;) {
    ssize_t got = getrandom(random + have, sizeof random - have, 0);
    if (got > 0) have += static_cast<size_t>(got);
  }
  std::string password;
  for (size_t i = 0; i < static_cast<size_t>(bits + 3) / 4; i++) {
    password += "0123456789abcdef"[random[i / 2] >> (i % 2 * 4) & 15];
  }
  context.reply().Bulk(password);
}

void WriteEntry(Reply& reply, const AclLogEntry& entry, int64_t now_ms) {
  constexpr const char* kReasons[] = {"auth", "command", "key", "channel"};
  constexpr const char* kContexts[] = {"toplevel", "multi", "lua", "module"};
  reply.MapHeader(7);
  reply.Bulk("count");
  reply.Integer(static_cast<int64_t>(entry.count));
  reply.Bulk("reason");
  reply.Bulk(kReasons[static_cast<size_t>(entry.reason)]);
  reply.Bulk("context");
  reply.Bulk(kContexts[static_cast<size_t>(entry.context)]);
  reply.Bulk("object");
  reply.Bulk(entry.object);
  reply.Bulk("username");
  reply.Bulk(entry.user);
  reply.Bulk("age-seconds");
  reply.Double(static_cast<double>(std::max<int64_t>(now_ms - entry.at_ms, 0)) / 1000);
  reply.Bulk("client-info");
  reply.Bulk(entry.client);
}

void AclLogCommand(Context& context) {
  if (context.argc() > 3) {
    context.reply().Error("ERR unknown subcommand or wrong number of arguments for '" +
                          Shown(context.arg(1).substr(0, 128)) + "'. Try ACL HELP.");
    return;
  }
  int64_t count = kLogEntries;
  if (context.argc() == 3) {
    if (ArgIs(context, 2, "RESET")) {
      acl_log.Clear();
      context.reply().Ok();
      return;
    }
    if (!ParseIntArg(context, 2, &count)) return;
  }
  std::vector<AclLogEntry> entries = acl_log.Newest(static_cast<size_t>(std::max<int64_t>(count, 0)));
  context.reply().ArrayHeader(entries.size());
  for (const AclLogEntry& entry : entries) WriteEntry(context.reply(), entry, context.now_ms());
}

void AclDryrun(Context& context) {
  std::shared_ptr<User> user = acl.Find(context.arg(2));
  if (user == nullptr) {
    context.reply().Error("ERR User '" + Shown(context.arg(2)) + "' not found");
    return;
  }
  auto argv = context.argv().subspan(3);
  const Command* container;
  const Command* command = registry.Resolve(argv, &container);
  if (command == nullptr) {
    context.reply().Error("ERR Command '" + Shown(argv[0]) + "' not found");
    return;
  }
  if (!command->ArityFits(argv.size())) {
    context.reply().Error("ERR wrong number of arguments for '" + std::string(command->spec->name) + "' command");
    return;
  }
  size_t index;
  AclVerdict verdict = CheckAcl(*user, *command, argv, &index);
  if (verdict == AclVerdict::kAllowed) {
    context.reply().Ok();
  } else {
    context.reply().Bulk(DryRunText(verdict, *command, argv, index));
  }
}

// False with the error replied.
bool HasFile(Context& context) {
  if (!server.config().aclfile.empty()) return true;
  context.reply().Error(
      "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
      "command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store "
      "users in the Redis configuration.");
  return false;
}

void AclLoad(Context& context) {
  if (!HasFile(context)) return;
  std::vector<User> users;
  std::string errors;
  if (!ReadUsers(server.config().aclfile, &users, &errors)) {
    context.reply().Error("ERR " + errors);
    return;
  }
  acl.Replace(std::move(users), Own(context));
  context.reply().Ok();
}

void AclSave(Context& context) {
  if (!HasFile(context)) return;
  std::string reason;
  if (WriteUsers(server.config().aclfile, acl.Lines(), &reason)) {
    context.reply().Ok();
    return;
  }
  LogWarning("ACL SAVE: " + reason);
  context.reply().Error(
      "ERR There was an error trying to save the ACLs. Please check the server logs for more information");
}

constexpr uint32_t kPlain = kNoScript | kLoading | kStale | kSentinel;
constexpr uint32_t kAdminOnly = kPlain | kAdmin;

constexpr CommandSpec kRows[] = {
    {"acl",
     -2,
     kSentinel,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "Depends on the subcommand",
     "Commands about users and what they may do.",
     "",
     nullptr},
    {"acl|cat",
     -2,
     kPlain,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of commands",
     "Lists the categories, or the commands of one.",
     "[category]",
     AclCat},
    {"acl|deluser",
     -3,
     kAdminOnly | kExclusive,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of connections",
     "Deletes users and closes their connections.",
     "username [username ...]",
     AclDeluser},
    {"acl|dryrun",
     -4,
     kAdminOnly,
     {},
     0,
     Group::kServer,
     "7.0.0",
     "O(1)",
     "Tells whether a user may run a command, without running it.",
     "username command [arg [arg ...]]",
     AclDryrun},
    {"acl|genpass", -2, kPlain, {}, 0, Group::kServer, "6.0.0", "O(1)", "Makes up a password.", "[bits]", AclGenpass},
    {"acl|getuser",
     3,
     kAdminOnly,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of the user's rules",
     "Answers a user's rules.",
     "username",
     AclGetuser},
    {"acl|help",
     2,
     kLoading | kStale | kSentinel,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"acl|list",
     2,
     kAdminOnly,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of users",
     "Lists the users with their rules.",
     "",
     AclList},
    {"acl|load",
     2,
     kAdminOnly | kExclusive,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of users and connections",
     "Takes the users of the aclfile in place of those there are, all or none.",
     "",
     AclLoad},
    {"acl|log",
     -2,
     kAdminOnly,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of entries answered",
     "Lists what was denied of late, or forgets it.",
     "[count|RESET]",
     AclLogCommand},
    {"acl|save",
     2,
     kAdminOnly,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of users",
     "Writes the users into the aclfile.",
     "",
     AclSave},
    {"acl|setuser",
     -3,
     kAdminOnly | kExclusive,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of rules",
     "Adds a user or changes his rules, all or none of them.",
     "username [rule [rule ...]]",
     AclSetuser},
    {"acl|users",
     2,
     kAdminOnly,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(N) where N is the number of users",
     "Lists the users' names.",
     "",
     AclUsers},
    {"acl|whoami",
     2,
     kPlain,
     {},
     0,
     Group::kServer,
     "6.0.0",
     "O(1)",
     "Answers the name of the connection's user.",
     "",
     AclWhoami},
};

}  // namespace

const CommandTable kAclCommands = kRows;

}  // namespace brim
