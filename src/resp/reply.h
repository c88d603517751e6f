#pragma once
// Writes replies, RESP2 or RESP3, into an OutputBuffer. One per worker; no locks.
#include <cstdint>
#include <string_view>

#include "resp/output.h"

namespace brim {

class Reply {
 public:
  Reply(OutputBuffer* output, int version) : output_(output), version_(version) {}

  void SetOutput(OutputBuffer* output) { output_ = output; }
  OutputBuffer& output() { return *output_; }
  void SetVersion(int version) { version_ = version; }
  int version() const { return version_; }
  // While suppressed (CLIENT REPLY OFF) nothing is written, errors are still counted.
  void SetSuppressed(bool on) { suppressed_ = on; }
  bool suppressed() const { return suppressed_; }

  void Ok() { Raw("+OK\r\n"); }
  void Simple(std::string_view text);
  // "CODE text" without the dash; line ends inside become blanks. Counted.
  void Error(std::string_view text);
  void Integer(int64_t number);
  void Bulk(std::string_view text);
  void BulkInt(int64_t number);
  // A bulk whose bytes are sent from where they lie; release(token) is called once, by any thread, when they are sent
  // or dropped.
  void BulkShared(const char* bytes, size_t size, void (*release)(void*), void* token);
  void Null();       // RESP2: null bulk
  void NullArray();  // RESP2: null array; RESP3: null
  void ArrayHeader(size_t elements);
  void MapHeader(size_t pairs);    // RESP2: an array of twice as many
  void SetHeader(size_t members);  // RESP2: an array
  void PushHeader(size_t elements);
  // A score or other double: RESP3 double, RESP2 bulk; "%.17g".
  void Double(double number);
  void Bool(bool value);                                     // RESP2: 1 or 0
  void Verbatim(std::string_view text, const char* format);  // RESP2: bulk; format: three letters, "txt"
  void BigNumber(std::string_view digits);
  void Raw(std::string_view bytes) {
    if (!suppressed_) output_->Append(bytes);
  }

  // A collection whose length is known at its end only: Begin leaves room for the header, End fills it in. They nest.
  size_t BeginDeferred();
  void EndDeferredArray(size_t token, size_t elements) { EndDeferred(token, '*', elements); }
  void EndDeferredMap(size_t token, size_t pairs);
  void EndDeferredSet(size_t token, size_t members) { EndDeferred(token, version_ >= 3 ? '~' : '*', members); }

  // Error replies so far, and the code (first word) of the last one.
  uint64_t errors() const { return errors_; }
  std::string_view last_error_code() const { return {error_code_, error_code_size_}; }

 private:
  void Header(char type, uint64_t n);
  void EndDeferred(size_t token, char type, size_t n);

  OutputBuffer* output_;
  int version_;
  bool suppressed_ = false;
  uint8_t error_code_size_ = 0;
  char error_code_[40] = {};
  uint64_t errors_ = 0;
};

}  // namespace brim
