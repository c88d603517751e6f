#include "persist/aof_manifest.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/ascii.h"
#include "base/quoting.h"

namespace brim {

namespace {

constexpr size_t kLineBytesMax = 1024;
constexpr int64_t kSeqMax = INT64_MAX / 2;  // later ones have to have room above it
constexpr char kBase = 'b';
constexpr char kHistory = 'h';
constexpr char kIncrement = 'i';

constexpr const char* kFormatError = "Invalid AOF manifest file format";

// The next line with its \n; only that much of it when it is too long.
std::string_view CutLine(std::string_view* text) {
  std::string_view line = text->substr(0, kLineBytesMax);
  line = line.substr(0, std::min(line.find('\n'), line.size() - 1) + 1);
  text->remove_prefix(line.size());
  return line;
}

std::string_view Trimmed(std::string_view line) {
  constexpr std::string_view kEdges = " \t\r\n";
  size_t first = line.find_first_not_of(kEdges);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kEdges) + 1 - first);
}

bool NeedsQuotes(std::string_view name) {
  return name.empty() ||
         std::any_of(name.begin(), name.end(), [](char c) { return c <= ' ' || c >= 127 || c == '\\' || IsQuote(c); });
}

void AppendLine(std::string* text, const AofFile& file, char type) {
  *text += "file ";
  *text += NeedsQuotes(file.name) ? QuoteWord(file.name) : file.name;
  *text += " seq " + std::to_string(file.seq) + " type " + type + '\n';
}

}  // namespace

bool AofManifest::Place(AofFile file, char type, const char** what) {
  switch (type) {
    case kBase:
      if (base) {
        *what = "Found duplicate base file information";
        return false;
      }
      base = std::move(file);
      return true;
    case kHistory:
      history.push_back(std::move(file));
      return true;
    case kIncrement:
      if (file.seq <= increment_seq_) {
        *what = "Found a non-monotonic sequence number";
        return false;
      }
      increment_seq_ = file.seq;
      increments.push_back(std::move(file));
      return true;
    default:
      *what = "Unknown AOF file type";
      return false;
  }
}

bool AofManifest::ReadLine(std::string_view line, const char** what) {
  constexpr size_t kFieldsMin = 3;  // later versions may add some
  std::vector<std::string> words;
  *what = kFormatError;
  if (!SplitWords(line, &words) || words.size() < 2 * kFieldsMin || words.size() % 2 != 0) return false;
  AofFile file;
  bool named = false;
  char type = 0;
  for (size_t i = 0; i < words.size(); i += 2) {
    std::string& value = words[i + 1];
    if (EqualsNoCase(words[i], "file")) {
      if (value.find_first_of("/\\") != std::string::npos) {
        *what = "File can't be a path, just a filename";
        return false;
      }
      file.name = std::move(value);
      named = true;
    } else if (EqualsNoCase(words[i], "seq")) {
      file.seq = strtoll(value.c_str(), nullptr, 10);  // what follows the digits is ignored, as in Redis
    } else if (EqualsNoCase(words[i], "type")) {
      type = value.c_str()[0];
    }
  }
  if (!named || file.seq == 0 || file.seq > kSeqMax || type == 0) return false;
  return Place(std::move(file), type, what);
}

bool AofManifest::Parse(std::string_view text, AofManifest* out, std::string* error) {
  if (text.empty()) {
    *error = "Found an empty AOF manifest";
    return false;
  }
  AofManifest read;
  for (int number = 1; !text.empty(); number++) {
    std::string_view line = CutLine(&text);
    if (line[0] == '#') continue;
    if (line.back() != '\n' || line.find('\0') != std::string_view::npos) {
      *error = "The AOF manifest file contains too long line";
      return false;
    }
    line = Trimmed(line);
    const char* what;
    if (!read.ReadLine(line, &what)) {
      *error =
          "Reading the manifest file, at line " + std::to_string(number) + "\n>>> '" + std::string(line) + "'\n" + what;
      return false;
    }
  }
  *out = std::move(read);
  return true;
}

std::string AofManifest::Text() const {
  std::string text;
  if (base) AppendLine(&text, *base, kBase);
  for (const AofFile& file : history) AppendLine(&text, file, kHistory);
  for (const AofFile& file : increments) AppendLine(&text, file, kIncrement);
  return text;
}

const AofFile& AofManifest::NextBase(std::string_view prefix, bool rdb) {
  int64_t seq = base ? base->seq + 1 : 1;
  if (base) history.insert(history.begin(), std::move(*base));
  std::string name = std::string(prefix) + "." + std::to_string(seq) + ".base" + (rdb ? ".rdb" : ".aof");
  base = AofFile{std::move(name), seq};
  return *base;
}

const AofFile& AofManifest::NextIncrement(std::string_view prefix) {
  increment_seq_++;
  increments.push_back({std::string(prefix) + "." + std::to_string(increment_seq_) + ".incr.aof", increment_seq_});
  return increments.back();
}

void AofManifest::RetireIncrements(bool keep_last) {
  auto end = increments.end();
  if (keep_last && end != increments.begin()) --end;
  history.insert(history.begin(), std::make_move_iterator(increments.begin()), std::make_move_iterator(end));
  increments.erase(increments.begin(), end);
}

}  // namespace brim
