// brim-server: reads the configuration, puts the parts together, runs.
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/ascii.h"
#include "base/hash.h"
#include "base/monotonic.h"
#include "command/registry.h"
#include "commands/tables.h"
#include "memory/account.h"
#include "persist/rdb_file.h"
#include "script/engine.h"
#include "script/script_commands.h"
#include "server/acl.h"
#include "server/log.h"
#include "server/persistence.h"
#include "server/process.h"
#include "server/process_title.h"
#include "server/pubsub.h"
#include "server/server.h"
#include "server/server_commands.h"
#include "server/tracking.h"

namespace brim {
namespace {

// Every command there is. Listed here, because registration by static objects depends on the linker.
void RegisterCommands() {
  for (CommandTable table : {kStringCommands,       kStringNumberCommands,
                             kStringRangeCommands,  kStringConditionalCommands,
                             kBitmapCommands,       kBitfieldCommands,
                             kHyperLogLogCommands,  kHashCommands,
                             kListCommands,         kListBlockingCommands,
                             kSetCommands,          kSetAlgebraCommands,
                             kSortedSetCommands,    kSortedSetRangeCommands,
                             kSortedSetPopCommands, kSortedSetAlgebraCommands,
                             kGeoCommands,          kGeoSearchCommands,
                             kHashExpiryCommands,   kKeyCommands,
                             kKeyspaceCommands,     kExpireCommands,
                             kObjectCommands,       kSortCommands,
                             kConnectionCommands,   kClientCommands,
                             kTransactionCommands,  kConfigCommands,
                             kCommandCommands,      kInfoCommands,
                             kMemoryCommands,       kDebugCommands,
                             kAdminCommands,        kPersistenceCommands,
                             kDumpCommands,         kMigrateCommands,
                             kMonitorCommands,      kHotKeysCommands,
                             kClusterCommands,      kModuleCommands,
                             kLolwutCommands,       kAclCommands,
                             kTrackingCommands,     kPubSubCommands,
                             kStreamCommands,       kStreamReadCommands,
                             kStreamGroupCommands,  kStreamClaimCommands,
                             kStreamInfoCommands,   kStreamIdempotencyCommands,
                             kEvalCommands,         kScriptCommands,
                             kFunctionCommands,     kCommandLogCommands,
                             kLatencyCommands}) {
    registry.Add(table);
  }
}

// rename-command; false with the text for stderr.
bool RenameCommands(std::string* message) {
  for (const auto& [from, to] : server.config().rename_commands) {
    if (registry.Rename(from, to)) continue;
    bool known = false;
    for (const auto& command : registry.all()) known |= EqualsNoCase(command->name, from);
    *message = "\n*** FATAL CONFIG FILE ERROR (Redis " + std::string(kRedisVersion) + ") ***\n>>> 'rename-command \"" +
               from + "\" \"" + to + "\"'\n" +
               (!known ? "No such command in rename-command\n" : "Target command name already exists\n");
    return false;
  }
  return true;
}

// False with the text for stderr when lines of the log would be lost.
bool LogCanBeWritten(std::string* message) {
  const std::string& path = server.config().logfile;
  if (path.empty()) return true;
  if (FILE* file = fopen(path.c_str(), "a")) {
    fclose(file);
    return true;
  }
  *message = "\n*** FATAL CONFIG FILE ERROR (Redis " + std::string(kRedisVersion) + ") ***\n>>> 'logfile \"" + path +
             "\"'\nCan't open the log file: " + strerror(errno) + "\n";
  return false;
}

void PrintVersion() {
  printf("Brim server v=%s redis=%s malloc=%s bits=64\n", kVersion, kRedisVersion, AllocatorName());
}

void PrintHelp() {
  fputs(
      "Usage: brim-server [/path/to/redis.conf] [options] [-]\n"
      "       brim-server - (read the configuration from standard input)\n"
      "       brim-server -v or --version\n"
      "       brim-server -h or --help\n\n"
      "Options are redis.conf directives with two dashes in front:\n"
      "       brim-server --port 7777 --maxmemory 4gb --maxmemory-policy allkeys-lru\n"
      "       brim-server /etc/redis/redis.conf --loglevel verbose -\n",
      stderr);
}

// Answers for --version and --help; false when the program is to run.
bool AnsweredAtOnce(int argc, char** argv) {
  if (argc != 2) return false;
  if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0) {
    PrintVersion();
    return true;
  }
  if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
    PrintHelp();
    return true;
  }
  return false;
}

// With one thread there is one shard and nothing to lock; else some shards a thread, so that two rarely meet.
int ShardCount(int threads) {
  constexpr int kShardsAThread = 4;
  constexpr int kShardsMax = 64;
  if (threads == 1) return 1;
  int count = 1;
  while (count < threads * kShardsAThread && count < kShardsMax) count *= 2;
  return count;
}

int Main(int argc, char** argv) {
  setlocale(LC_COLLATE, "");  // SORT ALPHA
  if (AnsweredAtOnce(argc, argv)) return 0;
  std::string program = argv[0];
  ReserveTitle(argc, argv);
  std::string message;
  RegisterCommands();
  command_catalog.Build();
  if (!server.config_store().LoadArguments(argc, argv, &message) || !RenameCommands(&message) ||
      !LogCanBeWritten(&message)) {
    fprintf(stderr, "%s%s", message.c_str(), message.ends_with('\n') ? "" : "\n");
    return 1;
  }
  registry.Freeze();
  const Config& config = server.config();
  server.config_file = server.config_store().file();
  server.executable = AbsolutePath(program);
  bool background = config.daemonize && !IsSupervised(config.supervised);
  if (background && !Daemonize()) return 1;
  server.ApplyConfig();

  LogWarning("oO0OoO0OoO0Oo Brim is starting oO0OoO0OoO0Oo");
  LogWarning("Brim version=" + std::string(kVersion) + ", Redis version=" + kRedisVersion +
             ", bits=64, pid=" + std::to_string(ProcessId()) + ", just started");
  if (argc == 1) {
    LogWarning("Warning: no config file specified, using the default config. In order to specify a config file use " +
               program + " /path/to/redis.conf");
  } else {
    LogWarning("Configuration loaded");
  }
  for (const std::string& note : server.config_store().notes()) LogNotice(note);
  server.RegisterConfigHooks();
  notify_hook = PubSub::Notify;
  flushed_hook = KeyTracking::Flushed;
  server.ApplyConfig();
  if (!acl.Start(config)) return 1;
  std::string pidfile = config.pidfile.empty() && background ? "/var/run/redis.pid" : config.pidfile;
  if (!pidfile.empty()) WritePidFile(pidfile);

  InstallSignalHandlers();
  ShowTitle(config, server.config_file);
  DrawHashSecret();
  server.run_id = RandomHexId();
  server.start_ms = WallUs() / 1000;
  shards.Build(ShardCount(config.threads), config.databases);
  script_engine = &lua_engine;
  load_function = [](const std::string& text, std::string* error) {
    return lua_engine.LoadLibrary(*server.workers()[0], text, error);
  };
  LogNotice("Running mode=standalone, port=" + std::to_string(config.port) +
            ", threads=" + std::to_string(config.threads) + ".");
  int code = server.Run();
  if (!pidfile.empty()) remove(pidfile.c_str());
  return code;
}

}  // namespace
}  // namespace brim

int main(int argc, char** argv) { return brim::Main(argc, argv); }
