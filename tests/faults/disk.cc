// A disk that can be looked at and that fails on demand: a shared object for LD_PRELOAD (tests/faults/run.py builds
// it).
//
// Each call of the process that changes files below BRIM_DISK_ROOT is written to BRIM_DISK_TRACE, in the order in which
// the disk saw it, with every reply that is sent to a client: what could be left after the power went at any of these
// moments follows from it (disk_model.py), and what had been promised until then. BRIM_DISK_CONTROL is a small file in
// shared memory: how many calls there were of each kind, and which one is to fail next.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace {

// The order is disk_model.py's KINDS.
enum Kind : uint8_t { kOpen, kWrite, kSync, kRename, kUnlink, kTruncate, kMkdir, kKinds };
constexpr uint8_t kClose = 100, kSyncBegin = 101, kDup = 102, kSent = 103;

// disk_model.py's Control.
struct Control {
  uint64_t calls[kKinds];
  uint32_t kinds;    // that are to fail, a bit each
  int32_t error;     // errno
  int64_t skip;      // so many more of them succeed first
  uint32_t lasting;  // 1: all that follow fail too; 0: one fails
  uint32_t partly;   // a write takes half of its bytes before it fails
  uint64_t failed;
  uint32_t quiet;  // nothing is traced
};

struct Record {
  uint8_t kind;
  uint8_t good;
  uint16_t first_bytes;  // of the payload: the first path
  int32_t fd;
  int64_t time_us;
  int64_t number;  // flags of an open, size of a truncation, the other descriptor of a dup
  uint32_t bytes;  // of the payload behind this
  uint32_t call;   // joins the beginning and the end of a sync
};

constexpr int kMaxFd = 4096;
constexpr size_t kSentMax = 1 << 20;

template <class Fn>
Fn Real(const char* name) {
  return reinterpret_cast<Fn>(dlsym(RTLD_NEXT, name));
}

struct Disk {
  std::mutex mutex;
  const char* root = getenv("BRIM_DISK_ROOT");
  size_t root_bytes = root != nullptr ? strlen(root) : 0;
  int trace = -1;
  Control* control = nullptr;
  bool below[kMaxFd] = {};  // descriptors of files that are watched
  uint32_t next_call = 1;

  Disk() {
    auto real_open = Real<int (*)(const char*, int, ...)>("open");
    if (const char* path = getenv("BRIM_DISK_TRACE")) {
      trace = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    }
    if (const char* path = getenv("BRIM_DISK_CONTROL")) {
      int fd = real_open(path, O_RDWR | O_CLOEXEC);
      void* memory = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
      control = memory == MAP_FAILED ? nullptr : static_cast<Control*>(memory);
    }
  }

  bool Watches(const char* path) const {
    char folder[4096];
    if (root == nullptr || path == nullptr) return false;
    if (path[0] == '/') return strncmp(path, root, root_bytes) == 0;
    return getcwd(folder, sizeof folder) != nullptr && strncmp(folder, root, root_bytes) == 0;
  }
  bool Watches(int fd) const { return fd >= 0 && fd < kMaxFd && below[fd]; }

  // Whether this call is the one that is to fail; the mutex held.
  bool Fails(Kind kind) {
    if (control == nullptr) return false;
    control->calls[kind]++;
    if (!(control->kinds >> kind & 1) || control->skip-- > 0) return false;
    if (!control->lasting) control->kinds = 0;
    control->failed++;
    errno = control->error;
    return true;
  }

  void Note(uint8_t kind, bool good, int fd, int64_t number, const iovec* pieces, int count, uint32_t call = 0,
            size_t first_bytes = 0) {
    if (trace < 0 || (control != nullptr && control->quiet)) return;
    int saved = errno;
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    Record record{kind, good, static_cast<uint16_t>(first_bytes), fd, now.tv_sec * 1000000 + now.tv_nsec / 1000, number,
                  0,    call};
    iovec all[66];
    int n = 1;
    size_t bytes = 0;
    for (int i = 0; i < count && n < 66; i++) {
      if (pieces[i].iov_len == 0) continue;
      all[n++] = pieces[i];
      bytes += pieces[i].iov_len;
    }
    record.bytes = static_cast<uint32_t>(bytes);
    all[0] = {&record, sizeof record};
    static auto real = Real<ssize_t (*)(int, const iovec*, int)>("writev");
    if (real(trace, all, n) != static_cast<ssize_t>(sizeof record + bytes)) abort();
    errno = saved;
  }
  void NotePaths(uint8_t kind, bool good, int fd, int64_t number, const char* path, const char* other = nullptr) {
    iovec pieces[2] = {{const_cast<char*>(path), strlen(path)}, {const_cast<char*>(other), other ? strlen(other) : 0}};
    Note(kind, good, fd, number, pieces, 2, 0, pieces[0].iov_len);
  }
};

Disk& disk() {
  static Disk it;
  return it;
}

int Opened(const char* path, int flags, int fd) {
  Disk& d = disk();
  if (fd >= 0 && fd < kMaxFd) {
    d.below[fd] = true;
    d.NotePaths(kOpen, true, fd, flags, path);
  }
  return fd;
}

bool Changes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_DIRECTORY) != 0; }

int OpenAny(const char* name, const char* path, int flags, mode_t mode) {
  auto real = Real<int (*)(const char*, int, ...)>(name);
  Disk& d = disk();
  if (!Changes(flags) || !d.Watches(path)) return real(path, flags, mode);
  std::lock_guard guard(d.mutex);
  return d.Fails(kOpen) ? -1 : Opened(path, flags, real(path, flags, mode));
}

int SyncAny(const char* name, int fd) {
  auto real = Real<int (*)(int)>(name);
  Disk& d = disk();
  if (!d.Watches(fd)) return real(fd);
  uint32_t call;
  bool fails;
  {
    std::lock_guard guard(d.mutex);
    call = d.next_call++;
    fails = d.Fails(kSync);
    d.Note(kSyncBegin, true, fd, 0, nullptr, 0, call);
  }
  int result = fails ? -1 : real(fd);
  int error = fails ? d.control->error : errno;
  std::lock_guard guard(d.mutex);
  d.Note(kSync, result == 0, fd, 0, nullptr, 0, call);
  errno = error;
  return result;
}

int PathCall(Kind kind, const char* path, int64_t number, int (*call)(const char*, int64_t)) {
  Disk& d = disk();
  if (!d.Watches(path)) return call(path, number);
  std::lock_guard guard(d.mutex);
  if (d.Fails(kind)) return -1;
  int result = call(path, number);
  if (result == 0) d.NotePaths(kind, true, -1, number, path);
  return result;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return OpenAny("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return OpenAny("open64", path, flags, mode);
}

ssize_t write(int fd, const void* bytes, size_t size) {
  static auto real = Real<ssize_t (*)(int, const void*, size_t)>("write");
  Disk& d = disk();
  if (!d.Watches(fd)) return real(fd, bytes, size);
  std::lock_guard guard(d.mutex);
  size_t taken = size;
  if (d.Fails(kWrite)) {
    // Half of it, then the next call fails.
    if (!d.control->partly || size < 2) return -1;
    taken = size / 2;
    if (!d.control->lasting) {
      d.control->partly = 0;
      d.control->skip = 0;
      d.control->kinds = 1u << kWrite;
    }
  }
  ssize_t written = real(fd, bytes, taken);
  iovec piece{const_cast<void*>(bytes), written > 0 ? static_cast<size_t>(written) : 0};
  if (written > 0) d.Note(kWrite, true, fd, 0, &piece, 1);
  return written;
}

ssize_t writev(int fd, const iovec* pieces, int count) {
  static auto real = Real<ssize_t (*)(int, const iovec*, int)>("writev");
  if (!disk().Watches(fd)) return real(fd, pieces, count);
  // The first piece: a short write, which callers go on from.
  for (int i = 0; i < count; i++) {
    if (pieces[i].iov_len > 0) return write(fd, pieces[i].iov_base, pieces[i].iov_len);
  }
  return 0;
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  static auto real = Real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  Disk& d = disk();
  if (!d.Watches(fd)) return real(fd, bytes, size, at);
  std::lock_guard guard(d.mutex);
  if (d.Fails(kWrite)) return -1;
  ssize_t written = real(fd, bytes, size, at);
  iovec piece{const_cast<void*>(bytes), written > 0 ? static_cast<size_t>(written) : 0};
  if (written > 0) d.Note(kWrite, true, fd, at + 1, &piece, 1);  // 0: where the descriptor stands
  return written;
}

int fsync(int fd) { return SyncAny("fsync", fd); }
int fdatasync(int fd) { return SyncAny("fdatasync", fd); }

int close(int fd) {
  static auto real = Real<int (*)(int)>("close");
  Disk& d = disk();
  if (!d.Watches(fd)) return real(fd);
  std::lock_guard guard(d.mutex);
  d.below[fd] = false;
  d.Note(kClose, true, fd, 0, nullptr, 0);
  return real(fd);
}

int dup(int fd) {
  static auto real = Real<int (*)(int)>("dup");
  Disk& d = disk();
  if (!d.Watches(fd)) return real(fd);
  std::lock_guard guard(d.mutex);
  int other = real(fd);
  if (other >= 0 && other < kMaxFd) {
    d.below[other] = true;
    d.Note(kDup, true, fd, other, nullptr, 0);
  }
  return other;
}

int rename(const char* from, const char* to) {
  static auto real = Real<int (*)(const char*, const char*)>("rename");
  Disk& d = disk();
  if (!d.Watches(to)) return real(from, to);
  std::lock_guard guard(d.mutex);
  if (d.Fails(kRename)) return -1;
  int result = real(from, to);
  if (result == 0) d.NotePaths(kRename, true, -1, 0, from, to);
  return result;
}

int unlink(const char* path) {
  return PathCall(kUnlink, path, 0, [](const char* p, int64_t) {
    static auto real = Real<int (*)(const char*)>("unlink");
    return real(p);
  });
}

int truncate(const char* path, off_t size) noexcept {
  return PathCall(kTruncate, path, size, [](const char* p, int64_t n) {
    static auto real = Real<int (*)(const char*, off_t)>("truncate");
    return real(p, n);
  });
}

int ftruncate(int fd, off_t size) noexcept {
  static auto real = Real<int (*)(int, off_t)>("ftruncate");
  Disk& d = disk();
  if (!d.Watches(fd)) return real(fd, size);
  std::lock_guard guard(d.mutex);
  if (d.Fails(kTruncate)) return -1;
  int result = real(fd, size);
  if (result == 0) d.Note(kTruncate, true, fd, size, nullptr, 0);
  return result;
}

int mkdir(const char* path, mode_t mode) noexcept {
  return PathCall(kMkdir, path, mode, [](const char* p, int64_t m) {
    static auto real = Real<int (*)(const char*, mode_t)>("mkdir");
    return real(p, static_cast<mode_t>(m));
  });
}

// Replies are noted before they go out: what the disk does not have by then has been promised too early.
ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static auto real = Real<ssize_t (*)(int, const void*, size_t, int)>("send");
  Disk& d = disk();
  {
    std::lock_guard guard(d.mutex);
    iovec piece{const_cast<void*>(bytes), size < kSentMax ? size : kSentMax};
    d.Note(kSent, true, fd, 0, &piece, 1);
  }
  return real(fd, bytes, size, flags);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static auto real = Real<ssize_t (*)(int, const msghdr*, int)>("sendmsg");
  Disk& d = disk();
  {
    std::lock_guard guard(d.mutex);
    d.Note(kSent, true, fd, 0, message->msg_iov, static_cast<int>(message->msg_iovlen));
  }
  return real(fd, message, flags);
}

}  // extern "C"
