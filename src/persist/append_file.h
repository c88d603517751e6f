#pragma once
// A file that is only appended to (an increment of the AOF). One thread at a time, but for Sync's copy of the
// descriptor. No locks.
#include <cstdint>
#include <string>
#include <string_view>

namespace brim {

class AppendFile {
 public:
  AppendFile() = default;
  ~AppendFile() { Close(); }
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // Opens for appending, made when it is not there; `anew`: emptied. False with errno's text in *error.
  bool Open(const std::string& path, bool anew, std::string* error);
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  uint64_t size() const { return size_; }
  // Writes what the disk takes. Returns how many bytes; fewer than given: *error says why.
  size_t Write(std::string_view bytes, std::string* error);
  // Until what was written is on the disk. False with errno's text in *error.
  bool Sync(std::string* error);
  // Drops what is behind that many bytes. False when that failed.
  bool Truncate(uint64_t size);
  // Gives the descriptor away.
  int Release();
  void Close();

 private:
  int fd_ = -1;
  uint64_t size_ = 0;
};

// Until the names in the folder are on the disk. False with what failed in *error.
bool SyncFolder(const std::string& folder, std::string* error);

// Makes that folder, in `parent`, if it is not there, and its name durable. False with what failed in *error.
bool MakeDurableFolder(const std::string& parent, const std::string& folder, std::string* error);

// Writes a small file that is either the old one or the new one whatever happens meanwhile: under a temporary name,
// synced, renamed, the folder synced. False with what failed in *error; when it was the folder's sync the new file is
// there, and only a crash tells which of the two it will have been.
bool ReplaceFile(const std::string& folder, const std::string& name, std::string_view text, std::string* error);

// Bytes of the file; 0 when there is none.
uint64_t FileBytes(const std::string& path);

}  // namespace brim
