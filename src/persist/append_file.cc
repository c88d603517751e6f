#include "persist/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace brim {

AppendFile::AppendFile(AppendFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(std::exchange(other.size_, 0)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  Close();
  fd_ = std::exchange(other.fd_, -1);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

bool AppendFile::Open(const std::string& path, bool anew, std::string* error) {
  Close();
  fd_ = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (anew ? O_TRUNC : 0), 0644);
  struct stat about;
  if (fd_ < 0 || fstat(fd_, &about) != 0) {
    *error = "opening " + path + ": " + strerror(errno);
    Close();
    return false;
  }
  size_ = static_cast<uint64_t>(about.st_size);
  return true;
}

size_t AppendFile::Write(std::string_view bytes, std::string* error) {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t written = write(fd_, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      *error = strerror(errno);
      break;
    }
    done += static_cast<size_t>(written);
  }
  size_ += done;
  return done;
}

bool AppendFile::Sync(std::string* error) {
  if (fdatasync(fd_) == 0) return true;
  *error = strerror(errno);
  return false;
}

bool AppendFile::Truncate(uint64_t size) {
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return false;
  size_ = size;
  return true;
}

int AppendFile::Release() {
  size_ = 0;
  return std::exchange(fd_, -1);
}

void AppendFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  size_ = 0;
}

bool SyncFolder(const std::string& folder, std::string* error) {
  int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool good = fd >= 0 && fsync(fd) == 0;
  // A file system that cannot sync folders has nothing to say about it.
  if (!good && fd >= 0 && (errno == EINVAL || errno == EROFS)) good = true;
  if (!good) *error = "syncing the folder " + folder + ": " + strerror(errno);
  if (fd >= 0) close(fd);
  return good;
}

bool MakeDurableFolder(const std::string& parent, const std::string& folder, std::string* error) {
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    *error = "making the folder " + folder + ": " + strerror(errno);
    return false;
  }
  return SyncFolder(parent, error);
}

bool ReplaceFile(const std::string& folder, const std::string& name, std::string_view text, std::string* error) {
  std::string temporary = folder + "/temp-" + name;
  std::string path = folder + "/" + name;
  auto fail = [&](const char* what) {
    *error = std::string(what) + " " + temporary + ": " + strerror(errno);
    unlink(temporary.c_str());
    return false;
  };
  AppendFile file;
  if (!file.Open(temporary, true, error)) return false;
  if (file.Write(text, error) < text.size()) return fail("writing");
  if (fsync(file.fd()) != 0) return fail("syncing");
  file.Close();
  if (rename(temporary.c_str(), path.c_str()) != 0) return fail("renaming");
  return SyncFolder(folder, error);
}

uint64_t FileBytes(const std::string& path) {
  struct stat about;
  return stat(path.c_str(), &about) == 0 ? static_cast<uint64_t>(about.st_size) : 0;
}

}  // namespace brim
