// brim-check-aof: tells whether an AOF is whole, be it one file or the files of a manifest; --fix cuts a broken end
// off, --truncate-to-timestamp what came after that time. Texts and exit codes are redis-check-aof's: 0 when all is
// good (in the end), 1 when not.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "persist/aof_manifest.h"
#include "persist/aof_mark.h"
#include "tools/aof_scan.h"
#include "tools/rdb_walk.h"

namespace brim {

namespace {

constexpr size_t kManifestLineMax = 1024;
constexpr size_t kReadBytes = 64 << 10;

struct Options {
  bool fix = false;
  int64_t to_timestamp = 0;  // seconds; 0: none
};

enum class Verdict { kValid, kEmpty, kCut, kCutToTimestamp };

[[noreturn]] __attribute__((format(printf, 1, 2))) void Die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  fflush(stdout);
  exit(1);
}

// A descriptor that is closed in the end.
class File {
 public:
  File(const std::string& path, int mode) : fd_(open(path.c_str(), mode | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }
  // -1 when it cannot be told.
  int64_t Size() const {
    struct stat about;
    return fstat(fd_, &about) == 0 ? about.st_size : -1;
  }

 private:
  int fd_;
};

// The whole file, or its first `most` bytes.
std::string Content(const std::string& path, size_t most) {
  File file(path, O_RDONLY);
  if (file.fd() < 0) Die("Cannot open file %s: %s\n", path.c_str(), strerror(errno));
  std::string content;
  char buffer[kReadBytes];
  while (content.size() < most) {
    ssize_t got = read(file.fd(), buffer, std::min(sizeof buffer, most - content.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Die("Cannot read file: %s\n", path.c_str());
    if (got == 0) break;
    content.append(buffer, static_cast<size_t>(got));
  }
  return content;
}

bool IsRdb(const std::string& path) {
  constexpr size_t kHeaderMin = 8;
  std::string start = Content(path, kHeaderMin);
  return start.size() == kHeaderMin && (start.starts_with("REDIS") || start.starts_with("VALKEY"));
}

// Whether the first line that is no comment begins as a manifest's. (redis-check-aof looks at later lines too, and
// takes an AOF with a value that begins with "file" for a manifest.)
bool IsManifest(const std::string& path) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) Die("Cannot open file %s: %s\n", path.c_str(), strerror(errno));
  char line[kManifestLineMax + 1];
  bool more;
  do {
    more = fgets(line, sizeof line, file) != nullptr;
  } while (more && line[0] == '#');
  if (ferror(file)) Die("Cannot read file: %s\n", path.c_str());
  fclose(file);
  return more && std::string_view(line).starts_with("file");
}

// What the user answers; no answer is no.
bool Confirmed() {
  printf("Continue? [y/N]: ");
  fflush(stdout);
  int answer = getchar();
  return answer == 'y' || answer == 'Y';
}

bool Cut(int fd, int64_t size) { return ftruncate(fd, size) == 0 && fsync(fd) == 0; }

// One file, `name` in the texts. Ends the program when it stays broken.
class FileCheck {
 public:
  FileCheck(const std::string& name, const std::string& path, bool last, const Options& options)
      : name_(name), path_(path), last_(last), options_(options) {}

  Verdict Run(bool preamble);

 private:
  Verdict CutToTimestamp(int fd, const AofScan& scan);
  Verdict CutBrokenEnd(int fd, const AofScan& scan, int64_t size);

  const std::string& name_;
  const std::string& path_;
  bool last_;
  const Options& options_;
};

Verdict FileCheck::CutToTimestamp(int fd, const AofScan& scan) {
  auto timestamp = static_cast<long long>(options_.to_timestamp);
  if (scan.end == AofEnd::kBeforeTimestamp) {
    Die("AOF %s has nothing before timestamp %lld, aborting...\n", path_.c_str(), timestamp);
  }
  if (!last_) {
    printf("Failed to truncate AOF %s to timestamp %lld to offset %lld because it is not the last file.\n",
           path_.c_str(), timestamp, static_cast<long long>(scan.good_bytes));
    Die("If you insist, delete the files that the manifest names after it and their lines in the manifest, and run "
        "this again.\n");
  }
  if (!Cut(fd, scan.good_bytes)) Die("Failed to truncate AOF %s to timestamp %lld\n", path_.c_str(), timestamp);
  return Verdict::kCutToTimestamp;
}

Verdict FileCheck::CutBrokenEnd(int fd, const AofScan& scan, int64_t size) {
  if (!options_.fix) Die("AOF %s is not valid. Use the --fix option to try fixing it.\n", name_.c_str());
  if (!last_) Die("Failed to truncate AOF %s because it is not the last file\n", name_.c_str());
  printf("This will shrink the AOF %s from %lld bytes, with %lld bytes, to %lld bytes\n", name_.c_str(),
         static_cast<long long>(size), static_cast<long long>(size - scan.good_bytes),
         static_cast<long long>(scan.good_bytes));
  if (!Confirmed()) Die("Aborting...\n");
  if (!Cut(fd, scan.good_bytes)) Die("Failed to truncate AOF %s\n", name_.c_str());
  return Verdict::kCut;
}

Verdict FileCheck::Run(bool preamble) {
  bool changes = options_.fix || options_.to_timestamp != 0;
  File file(path_, changes ? O_RDWR : O_RDONLY);
  if (file.fd() < 0) Die("Cannot open file %s: %s, aborting...\n", path_.c_str(), strerror(errno));
  int64_t size = file.Size();
  if (size < 0) Die("Cannot stat file: %s, aborting...\n", name_.c_str());
  if (size == 0) return Verdict::kEmpty;
  int64_t start = 0;
  if (preamble) {
    if (!WalkRdb(file.fd(), name_, &start)) Die("RDB preamble of AOF file is not sane, aborting.\n");
    printf("RDB preamble is OK, proceeding with AOF tail...\n");
  }
  AofScan scan = ScanAof(file.fd(), name_, start, options_.to_timestamp);
  switch (scan.end) {
    case AofEnd::kUnreadable:
      Die("Failed to read from AOF %s, aborting...\n", name_.c_str());
    case AofEnd::kBadTimestamp:
      Die("Invalid timestamp annotation\n");
    case AofEnd::kBeforeTimestamp:
    case AofEnd::kPastTimestamp:
      return CutToTimestamp(file.fd(), scan);
    default:
      break;
  }
  if (!scan.error.empty()) printf("%s\n", scan.error.c_str());
  if (scan.end == AofEnd::kWhole && options_.to_timestamp != 0) {
    printf("Truncate nothing in AOF %s to timestamp %lld\n", name_.c_str(),
           static_cast<long long>(options_.to_timestamp));
    return Verdict::kValid;
  }
  printf("AOF analyzed: filename=%s, size=%lld, ok_up_to=%lld, ok_up_to_line=%lld, diff=%lld\n", name_.c_str(),
         static_cast<long long>(size), static_cast<long long>(scan.good_bytes), static_cast<long long>(scan.line),
         static_cast<long long>(size - scan.good_bytes));
  return scan.end == AofEnd::kWhole ? Verdict::kValid : CutBrokenEnd(file.fd(), scan, size);
}

// `kind` is "BASE ", "INCR " or nothing.
void Tell(const char* kind, const std::string& name, Verdict verdict, const Options& options) {
  switch (verdict) {
    case Verdict::kValid:
      printf("%sAOF %s is valid\n", kind, name.c_str());
      break;
    case Verdict::kEmpty:
      printf("%sAOF %s is empty\n", kind, name.c_str());
      break;
    case Verdict::kCut:
      printf("Successfully truncated AOF %s\n", name.c_str());
      break;
    case Verdict::kCutToTimestamp:
      printf("Successfully truncated AOF %s to timestamp %lld\n", name.c_str(),
             static_cast<long long>(options.to_timestamp));
      break;
  }
}

void CheckOneFile(const std::string& path, const Options& options) {
  bool preamble = IsRdb(path);
  printf("Start checking Old-Style AOF\n");
  Tell("", path, FileCheck(path, path, true, options).Run(preamble), options);
}

void CheckManifest(const std::string& path, const Options& options) {
  printf("Start checking Multi Part AOF\n");
  AofManifest manifest;
  std::string error;
  if (!AofManifest::Parse(Content(path, SIZE_MAX), &manifest, &error)) {
    Die("\n*** FATAL AOF MANIFEST FILE ERROR ***\n%s\n", error.c_str());
  }
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "./" : path.substr(0, slash + 1);
  if (manifest.base) {
    const std::string& name = manifest.base->name;
    std::string full = folder + name;
    bool preamble = IsRdb(full);
    printf("Start to check BASE AOF (%s format).\n", preamble ? "RDB" : "RESP");
    Tell("BASE ", name, FileCheck(name, full, manifest.increments.empty(), options).Run(preamble), options);
  }
  if (!manifest.increments.empty()) printf("Start to check INCR files.\n");
  const std::vector<AofFile>& files = manifest.increments;
  auto is_empty = [&](const AofFile& file) { return IsEmptyIncrement(folder + file.name); };
  for (size_t i = 0; i < files.size(); i++) {
    // The last one with anything in it: the next may have been begun when the power went.
    bool last = std::all_of(files.begin() + static_cast<ptrdiff_t>(i) + 1, files.end(), is_empty);
    Tell("INCR ", files[i].name, FileCheck(files[i].name, folder + files[i].name, last, options).Run(false), options);
  }
  printf("All AOF files and manifest are valid\n");
}

// The path; null when the arguments are none that this program takes.
const char* ParseArguments(int argc, char** argv, Options* options) {
  if (argc == 2) return argv[1];
  if (argc == 3 && strcmp(argv[1], "--fix") == 0) {
    options->fix = true;
    return argv[2];
  }
  if (argc != 4 || strcmp(argv[1], "--truncate-to-timestamp") != 0) return nullptr;
  char* end;
  errno = 0;
  options->to_timestamp = strtoll(argv[2], &end, 10);
  if (errno != 0 || *end != '\0') Die("Invalid timestamp, aborting...\n");
  return argv[3];
}

int Main(int argc, char** argv) {
  Options options;
  const char* path = ParseArguments(argc, argv, &options);
  if (path == nullptr) {
    Die("Usage: %s [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n", argv[0]);
  }
  if (IsManifest(path)) {
    CheckManifest(path, options);
  } else {
    CheckOneFile(path, options);
  }
  return 0;
}

}  // namespace
}  // namespace brim

int main(int argc, char** argv) { return brim::Main(argc, argv); }
