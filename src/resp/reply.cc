#include "resp/reply.h"

#include <algorithm>

#include "base/numbers.h"

namespace brim {

void Reply::Header(char type, uint64_t n) {
  if (suppressed_) return;
  char* to = output_->Reserve(24);
  to[0] = type;
  int size = 1 + FormatUint64(n, to + 1);
  to[size] = '\r';
  to[size + 1] = '\n';
  output_->Commit(static_cast<size_t>(size) + 2);
}

void Reply::Simple(std::string_view text) {
  if (suppressed_) return;
  output_->Append("+");
  output_->Append(text);
  output_->Append("\r\n");
}

void Reply::Error(std::string_view text) {
  errors_++;
  size_t code = std::min(text.find(' '), text.size());
  error_code_size_ = static_cast<uint8_t>(std::min(code, sizeof(error_code_)));
  memcpy(error_code_, text.data(), error_code_size_);
  if (suppressed_) return;
  output_->Append("-");
  while (!text.empty()) {
    size_t line = std::min(text.find_first_of("\r\n"), text.size());
    output_->Append(text.substr(0, line));
    if (line == text.size()) break;
    output_->Append(" ");
    text.remove_prefix(line + 1);
  }
  output_->Append("\r\n");
}

void Reply::Integer(int64_t number) {
  if (suppressed_) return;
  char* to = output_->Reserve(24);
  to[0] = ':';
  int size = 1 + FormatInt64(number, to + 1);
  to[size] = '\r';
  to[size + 1] = '\n';
  output_->Commit(static_cast<size_t>(size) + 2);
}

void Reply::Bulk(std::string_view text) {
  if (suppressed_) return;
  if (text.size() > OutputBuffer::kReserveMax - 32) {
    Header('$', text.size());
    output_->Append(text);
    output_->Append("\r\n");
    return;
  }
  char* to = output_->Reserve(text.size() + 32);
  char* p = to;
  *p++ = '$';
  p += FormatUint64(text.size(), p);
  *p++ = '\r';
  *p++ = '\n';
  memcpy(p, text.data(), text.size());
  p += text.size();
  *p++ = '\r';
  *p++ = '\n';
  output_->Commit(static_cast<size_t>(p - to));
}

void Reply::BulkInt(int64_t number) {
  char text[24];
  Bulk({text, static_cast<size_t>(FormatInt64(number, text))});
}

void Reply::BulkShared(const char* bytes, size_t size, void (*release)(void*), void* token) {
  if (suppressed_) {
    release(token);
    return;
  }
  try {
    Header('$', size);
    output_->AppendShared(bytes, size, release, token);
  } catch (const std::bad_alloc&) {
    release(token);
    throw;
  }
  output_->Append("\r\n");
}

void Reply::Null() { Raw(version_ >= 3 ? "_\r\n" : "$-1\r\n"); }
void Reply::NullArray() { Raw(version_ >= 3 ? "_\r\n" : "*-1\r\n"); }
void Reply::ArrayHeader(size_t elements) { Header('*', elements); }
void Reply::MapHeader(size_t pairs) { version_ >= 3 ? Header('%', pairs) : Header('*', pairs * 2); }
void Reply::SetHeader(size_t members) { Header(version_ >= 3 ? '~' : '*', members); }
void Reply::PushHeader(size_t elements) { Header(version_ >= 3 ? '>' : '*', elements); }

void Reply::Double(double number) {
  char text[44];
  if (version_ < 3) {
    Bulk({text, static_cast<size_t>(FormatDouble17(number, text))});
    return;
  }
  text[0] = ',';
  int size = 1 + FormatDouble17(number, text + 1);
  text[size] = '\r';
  text[size + 1] = '\n';
  Raw({text, static_cast<size_t>(size) + 2});
}

void Reply::Bool(bool value) {
  if (version_ >= 3) {
    Raw(value ? "#t\r\n" : "#f\r\n");
  } else {
    Raw(value ? ":1\r\n" : ":0\r\n");
  }
}

void Reply::Verbatim(std::string_view text, const char* format) {
  if (version_ < 3) {
    Bulk(text);
    return;
  }
  Header('=', text.size() + 4);
  Raw({format, 3});
  Raw(":");
  Raw(text);
  Raw("\r\n");
}

void Reply::BigNumber(std::string_view digits) {
  if (version_ < 3) {
    Bulk(digits);
    return;
  }
  Raw("(");
  Raw(digits);
  Raw("\r\n");
}

size_t Reply::BeginDeferred() {
  if (!suppressed_) output_->BeginLater();
  return 0;
}

void Reply::EndDeferredMap(size_t token, size_t pairs) {
  version_ >= 3 ? EndDeferred(token, '%', pairs) : EndDeferred(token, '*', pairs * 2);
}

void Reply::EndDeferred(size_t, char type, size_t n) {
  if (suppressed_) return;
  char text[24];
  text[0] = type;
  int size = 1 + FormatUint64(n, text + 1);
  text[size] = '\r';
  text[size + 1] = '\n';
  output_->FillLater({text, static_cast<size_t>(size) + 2});
}

}  // namespace brim
