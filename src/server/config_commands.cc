// CONFIG GET, SET, REWRITE, RESETSTAT.
#include <string>
#include <utility>
#include <vector>

#include "command/help.h"
#include "commands/arguments.h"
#include "server/log.h"
#include "server/rates.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/server_context.h"

namespace brim {

namespace {

void ConfigGet(Context& context) {
  std::vector<std::string> patterns;
  for (size_t i = 2; i < context.argc(); i++) patterns.emplace_back(context.arg(i));
  auto found = server.config_store().Get(patterns);
  context.reply().MapHeader(found.size());
  for (auto& [name, value] : found) {
    context.reply().Bulk(name);
    context.reply().Bulk(value);
  }
}

void ConfigSet(Context& context) {
  if (context.argc() % 2 != 0) {
    context.reply().Error(errors::kSyntax);
    return;
  }
  std::vector<std::pair<std::string, std::string>> settings;
  for (size_t i = 2; i < context.argc(); i += 2) settings.emplace_back(context.arg(i), context.arg(i + 1));
  std::string error;
  if (!server.config_store().Set(settings, &error)) {
    context.reply().Error(error);
    return;
  }
  server.ApplyConfig();
  context.reply().Ok();
}

void ConfigRewrite(Context& context) {
  std::string error;
  if (server.config_store().Rewrite(&error)) {
    LogWarning("CONFIG REWRITE executed with success.");
    context.reply().Ok();
  } else {
    LogWarning("CONFIG REWRITE failed: " + error);
    context.reply().Error(error.starts_with("ERR ") ? error : "ERR " + error);
  }
}

void ConfigResetstat(Context& context) {
  server.ResetStatistics();
  ResetRates();
  context.reply().Ok();
}

constexpr uint32_t kFlags = kAdmin | kNoScript | kLoading | kStale | kExclusive;

constexpr CommandSpec kRows[] = {
    {"config",
     -2,
     0,
     {},
     0,
     Group::kServer,
     "2.0.0",
     "Depends on the subcommand",
     "Commands about the configuration.",
     "",
     nullptr},
    {"config|get",
     -3,
     kFlags,
     {},
     0,
     Group::kServer,
     "2.0.0",
     "O(N) where N is the number of settings",
     "Answers settings.",
     "parameter [parameter ...]",
     ConfigGet},
    {"config|help",
     2,
     kLoading | kStale,
     {},
     0,
     Group::kServer,
     "5.0.0",
     "O(1)",
     "Lists the subcommands.",
     "",
     ContainerHelp},
    {"config|resetstat",
     2,
     kFlags,
     {},
     0,
     Group::kServer,
     "2.0.0",
     "O(1)",
     "Sets INFO's counters back to zero.",
     "",
     ConfigResetstat},
    {"config|rewrite",
     2,
     kFlags,
     {},
     0,
     Group::kServer,
     "2.8.0",
     "O(N) where N is the number of settings",
     "Writes the settings in effect into the configuration file.",
     "",
     ConfigRewrite},
    {"config|set",
     -4,
     kFlags,
     {},
     0,
     Group::kServer,
     "2.0.0",
     "O(N) where N is the number of settings",
     "Changes settings, all of them or none.",
     "parameter value [parameter value ...]",
     ConfigSet,
     nullptr,
     "request_policy:all_nodes,response_policy:all_succeeded"},
};

}  // namespace

const CommandTable kConfigCommands = kRows;

}  // namespace brim
