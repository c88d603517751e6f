#include "server/process.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/random.h"
#include "server/log.h"
#include "server/server.h"

namespace brim {

namespace {

char unfinished_snapshot[32];  // SafeFile's name for it

// Only what may be done in a signal handler: a flag (server/shutdown looks at it), and at the second SIGINT the end.
void OnStopSignal(int signal_number) {
  if (server.stop_signal.exchange(signal_number, std::memory_order_relaxed) == 0 || signal_number != SIGINT) return;
  unlink(unfinished_snapshot);
  _exit(1);
}

// The kernel's struct sched_attr, first version (man 2 sched_setattr): its header and <sched.h> exclude each other.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_ns = 0;
  uint64_t deadline_ns = 0;
  uint64_t period_ns = 0;
};

bool HasEnvironment(const char* name) { return getenv(name) != nullptr; }

}  // namespace

bool Daemonize() {
  pid_t child = fork();
  if (child < 0) return false;
  if (child > 0) _exit(0);
  setsid();
  int null = open("/dev/null", O_RDWR);
  if (null < 0) return false;
  for (int stream = 0; stream <= 2; stream++) dup2(null, stream);
  if (null > 2) close(null);
  return true;
}

void WritePidFile(const std::string& path) {
  FILE* file = fopen(path.c_str(), "w");
  if (file == nullptr) {
    LogDebug("Failed to write PID file: " + std::string(strerror(errno)));
    return;
  }
  fprintf(file, "%d\n", static_cast<int>(getpid()));
  fclose(file);
}

void InstallSignalHandlers() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  snprintf(unfinished_snapshot, sizeof unfinished_snapshot, "temp-%d.rdb", ProcessId());
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = OnStopSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

bool IsSupervised(const std::string& supervised) {
  if (supervised == "no") return false;
  if (supervised == "systemd") return HasEnvironment("NOTIFY_SOCKET");
  if (supervised == "upstart") return HasEnvironment("UPSTART_JOB");
  return HasEnvironment("NOTIFY_SOCKET") || HasEnvironment("UPSTART_JOB");
}

void NotifySupervisor(const std::string& supervised) {
  if (supervised == "no") return;
  if (supervised != "systemd" && HasEnvironment("UPSTART_JOB")) {
    raise(SIGSTOP);  // upstart's "expect stop"
    return;
  }
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) {
    if (supervised == "systemd") LogWarning("systemd supervision requested, but NOTIFY_SOCKET not found!");
    return;
  }
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  size_t size = strlen(path);
  if (size >= sizeof(address.sun_path)) return;
  memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // abstract
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  constexpr const char kReady[] = "STATUS=Ready to accept connections\nREADY=1\n";
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  if (sendto(fd, kReady, sizeof(kReady) - 1, 0, reinterpret_cast<sockaddr*>(&address), length) < 0) {
    LogWarning("Failed to notify the supervisor: " + std::string(strerror(errno)));
  }
  close(fd);
}

void AskForShortSlices() {
  constexpr uint64_t kSliceNs = 500'000;
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;  // somebody chose otherwise
  attributes.runtime_ns = kSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

int ProcessId() { return static_cast<int>(getpid()); }

std::string RandomHexId() {
  std::string id;
  for (int i = 0; i < 40; i++) id += "0123456789abcdef"[RandomBelow(16)];
  return id;
}

std::string WorkingFolder() {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) != nullptr ? path : ".";
}

std::string AbsolutePath(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

}  // namespace brim
