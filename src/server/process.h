#pragma once
// What a server process does towards the system: daemon, pidfile, signals, supervisors. Called by main, before threads
// exist.
#include <string>

namespace brim {

// Goes to the background: the parent exits, the child has its own session and its standard streams on /dev/null. False
// when the system refuses.
bool Daemonize();

// Writes the process id; a failure is logged at level debug as redis-server does and otherwise ignored.
void WritePidFile(const std::string& path);

// SIGTERM and SIGINT stop the server (a second SIGINT at once); SIGPIPE and SIGHUP are ignored.
void InstallSignalHandlers();

// "systemd" and "upstart" as the `supervised` setting names them; "auto" looks at the environment. Tells systemd that
// the server is ready.
void NotifySupervisor(const std::string& supervised);
// True when the setting, or with "auto" the environment, says that a supervisor watches (it then needs no daemon).
bool IsSupervised(const std::string& supervised);

// For the calling thread: the system's scheduler lets it run soon and not for long, where it would let others go on for
// some milliseconds (Linux 6.12 and later: the slice of a thread of the fair class; before, nothing happens). Its
// share of the processor stays what it is.
void AskForShortSlices();

int ProcessId();

// 40 random hexadecimal digits, as run_id.
std::string RandomHexId();

// The process's working folder, where the settings `dir`, dbfilename and appenddirname lead.
std::string WorkingFolder();

// The path as seen from the root; unchanged when there is no such file.
std::string AbsolutePath(const std::string& path);

}  // namespace brim
