#pragma once
// Error replies that more than one place gives, and all that have a code of their own before the text (anything but
// ERR), word for word as redis-server's: clients match on them. tools/tidy.py refuses such a text anywhere else. Where
// a part depends on the command, what stands before it ends with a blank or a quote.
#include <string_view>

namespace brim::errors {

inline constexpr std::string_view kWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kNotAFloat = "ERR value is not a valid float";
inline constexpr std::string_view kSyntax = "ERR syntax error";
inline constexpr std::string_view kNotAHyperLogLog = "WRONGTYPE Key is not a valid HyperLogLog string value.";
inline constexpr std::string_view kCorruptHyperLogLog = "INVALIDOBJ Corrupted HLL object detected";
inline constexpr std::string_view kBusyKey = "BUSYKEY Target key name already exists.";

// Who one is, and what one may.
inline constexpr std::string_view kWrongPass = "WRONGPASS invalid username-password pair or user is disabled.";
inline constexpr std::string_view kNoAuthForHello =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option "
    "can be used to authenticate the client and select the RESP protocol version at the same time";
inline constexpr std::string_view kNoProto = "NOPROTO unsupported protocol version";
inline constexpr std::string_view kNoPermKey =
    "NOPERM this user has no permissions to access one of the keys used as arguments";
inline constexpr std::string_view kNoPermChannel =
    "NOPERM this user has no permissions to access one of the channels used as arguments";
inline constexpr std::string_view kNoPermCommand = "NOPERM this user has no permissions to run the '";
inline constexpr std::string_view kNoPermAtExec =
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is "
    "no "
    "longer allowed for the following reason: ";
inline constexpr std::string_view kDeniedToScript = "ERR The user executing the script ";
inline constexpr std::string_view kNoAuth = "NOAUTH Authentication required.";
inline constexpr std::string_view kLoading = "LOADING Redis is loading the dataset in memory";
// A connection from elsewhere while protected-mode is on and there is no password: the whole line.
inline constexpr std::string_view kProtectedMode =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    "default user. In this mode connections are only accepted from the loopback interface. If you want to connect from "
    "external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending "
    "the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host "
    "the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG "
    "REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the "
    "Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If "
    "you "
    "started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an "
    "authentication password for the default user. NOTE: You only need to do one of the above things in order for the "
    "server to start accepting connections from the outside.\r\n";
// The last save failed (stop-writes-on-bgsave-error).
inline constexpr std::string_view kMisconf =
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
    "may "
    "modify the data set are disabled, because this instance is configured to report errors during writes if RDB "
    "snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB "
    "error.";
// The system itself refused memory in the middle of a command.
inline constexpr std::string_view kNoMemoryLine = "-OOM the system has no memory left for this command";
inline constexpr std::string_view kNoMemory = kNoMemoryLine.substr(1);
inline constexpr std::string_view kReplyTooBig =
    "OOM the reply needs more memory than clients' buffers may take now (maxmemory, maxmemory-clients)";
inline constexpr std::string_view kNoInterpreter = "OOM the system has no memory for an interpreter of Lua";
inline constexpr std::string_view kLuaMemory =
    "OOM the script needs more memory than lua-memory-limit leaves it script: ";
inline constexpr std::string_view kOom = "OOM command not allowed when used memory > 'maxmemory'.";
inline constexpr std::string_view kNoCluster = "ERR This instance has cluster support disabled";
inline constexpr std::string_view kExecAbort = "EXECABORT Transaction discarded because of previous errors.";
inline constexpr std::string_view kExecAbortBecause = "EXECABORT Transaction discarded because of: ";
inline constexpr std::string_view kUnblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
inline constexpr std::string_view kUnblockedNoKey = "UNBLOCKED the stream key no longer exists";
inline constexpr std::string_view kAofFailing = "MISCONF Errors writing to the AOF file";
inline constexpr std::string_view kNotConnected = "IOERR error or timeout connecting to the client";
inline constexpr std::string_view kNotWritten = "IOERR error or timeout writing to target instance";
inline constexpr std::string_view kNotRead = "IOERR error or timeout reading to target instance";
// Groups of streams.
inline constexpr std::string_view kBusyGroup = "BUSYGROUP Consumer Group name already exists";
inline constexpr std::string_view kNoGroupAnyMore =
    "NOGROUP the consumer group this client was blocked on no longer exists";
inline constexpr std::string_view kNoGroupOrKey = "NOGROUP No such key ";
inline constexpr std::string_view kNoGroup = "NOGROUP No such consumer group ";
inline constexpr std::string_view kNoSuchKey = "ERR no such key";
// A script runs for longer than busy-reply-threshold.
inline constexpr std::string_view kBusyScript =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
inline constexpr std::string_view kBusyFunction =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
inline constexpr std::string_view kUnkillable =
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script "
    "termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";
inline constexpr std::string_view kNotBusy = "NOTBUSY No scripts in execution right now.";
inline constexpr std::string_view kNoScript = "NOSCRIPT No matching script. Please use EVAL.";
inline constexpr std::string_view kOutOfRange = "ERR value is out of range";

}  // namespace brim::errors
