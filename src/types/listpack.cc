#include "types/listpack.h"

#include <algorithm>
#include <cstring>

#include "base/numbers.h"

namespace brim::listpack {

namespace {

constexpr uint8_t kTerminator = 0xff;
constexpr size_t kCountUnknown = 65535;

// First bytes of an element: 0xxxxxxx number 0..127 | 10xxxxxx text below 64 | 110xxxxx number of 13 bits |
// 1110xxxx text below 4096 | f0 text with a length of 4 bytes | f1..f4 numbers of 2, 3, 4, 8 bytes.
constexpr uint8_t kWideText = 0xf0;
constexpr uint8_t kInt16 = 0xf1;
constexpr uint8_t kInt24 = 0xf2;
constexpr uint8_t kInt32 = 0xf3;
constexpr uint8_t kInt64 = 0xf4;

bool IsText(uint8_t first) { return (first & 0xc0) == 0x80 || (first & 0xf0) == 0xe0 || first == kWideText; }

size_t NumberBytes(uint8_t first) {
  if (first < 0x80) return 1;
  if ((first & 0xe0) == 0xc0) return 2;
  switch (first) {
    case kInt16:
      return 3;
    case kInt24:
      return 4;
    case kInt32:
      return 5;
    default:
      return 9;
  }
}

uint64_t LoadLittle(const uint8_t* p, int bytes) {
  uint64_t n = 0;
  memcpy(&n, p, static_cast<size_t>(bytes));
  return n;
}

std::string_view TextAt(const uint8_t* p) {
  if ((*p & 0xc0) == 0x80) return {reinterpret_cast<const char*>(p) + 1, static_cast<size_t>(*p & 63)};
  if ((*p & 0xf0) == 0xe0) {
    return {reinterpret_cast<const char*>(p) + 2, static_cast<size_t>(*p & 15) << 8 | p[1]};
  }
  return {reinterpret_cast<const char*>(p) + 5, LoadLittle(p + 1, 4)};
}

int64_t NumberAt(const uint8_t* p) {
  if (*p < 0x80) return *p;
  if ((*p & 0xe0) == 0xc0) {
    int n = (*p & 31) << 8 | p[1];
    return n >= 4096 ? n - 8192 : n;
  }
  int bytes = static_cast<int>(NumberBytes(*p)) - 1;
  int unused = 64 - 8 * bytes;
  return static_cast<int64_t>(LoadLittle(p + 1, bytes) << unused) >> unused;
}

size_t BackBytes(size_t body) {
  if (body <= 127) return 1;
  if (body < 16383) return 2;
  if (body < 2097151) return 3;
  return body < 268435455 ? 4 : 5;
}

void WriteBack(uint8_t* to, size_t body) {
  size_t bytes = BackBytes(body);
  for (size_t i = bytes; i-- > 0; body >>= 7) {
    to[i] = static_cast<uint8_t>((body & 127) | (i == 0 ? 0 : 128));
  }
}

// The length told by the bytes that end before `p`.
size_t ReadBack(const uint8_t* p) {
  size_t n = 0;
  for (int shift = 0; shift <= 28; shift += 7) {
    uint8_t byte = *--p;
    n |= static_cast<size_t>(byte & 127) << shift;
    if (!(byte & 128)) break;
  }
  return n;
}

size_t NumberBody(int64_t n) {
  if (n >= 0 && n <= 127) return 1;
  if (n >= -4096 && n <= 4095) return 2;
  if (n == static_cast<int16_t>(n)) return 3;
  if (n >= -8388608 && n <= 8388607) return 4;
  return n == static_cast<int32_t>(n) ? 5 : 9;
}

size_t TextBody(size_t size) { return size + (size < 64 ? 1 : size < 4096 ? 2 : 5); }

void WriteNumber(uint8_t* to, int64_t n, size_t body) {
  switch (body) {
    case 1:
      to[0] = static_cast<uint8_t>(n);
      return;
    case 2:
      to[0] = static_cast<uint8_t>(0xc0 | (n >> 8 & 31));
      to[1] = static_cast<uint8_t>(n);
      return;
    case 3:
      to[0] = kInt16;
      break;
    case 4:
      to[0] = kInt24;
      break;
    case 5:
      to[0] = kInt32;
      break;
    default:
      to[0] = kInt64;
      break;
  }
  memcpy(to + 1, &n, body - 1);
}

void WriteText(uint8_t* to, std::string_view text) {
  if (text.size() < 64) {
    *to++ = static_cast<uint8_t>(0x80 | text.size());
  } else if (text.size() < 4096) {
    *to++ = static_cast<uint8_t>(0xe0 | text.size() >> 8);
    *to++ = static_cast<uint8_t>(text.size());
  } else {
    *to++ = kWideText;
    auto size = static_cast<uint32_t>(text.size());
    memcpy(to, &size, 4);
    to += 4;
  }
  if (!text.empty()) memcpy(to, text.data(), text.size());
}

// How a text will be stored.
struct Form {
  bool is_number;
  int64_t number;
  size_t body;
  size_t bytes() const { return body + BackBytes(body); }
};

// In place: a form that is copied right after it was made waits for its parts to be stored.
void FindForm(std::string_view text, Form* form) {
  form->is_number = ParseInt64(text, &form->number);
  form->body = form->is_number ? NumberBody(form->number) : TextBody(text.size());
}

Form FormOf(std::string_view text) {
  Form form;
  FindForm(text, &form);
  return form;
}

void Write(uint8_t* to, const Form& form, std::string_view text) {
  if (form.is_number) {
    WriteNumber(to, form.number, form.body);
  } else {
    WriteText(to, text);
  }
  WriteBack(to + form.body, form.body);
}

void SetTotal(uint8_t* lp, size_t bytes) {
  auto n = static_cast<uint32_t>(bytes);
  memcpy(lp, &n, 4);
}

size_t StoredCount(const uint8_t* lp) { return lp[4] | static_cast<size_t>(lp[5]) << 8; }

void SetCount(uint8_t* lp, size_t count) {
  if (count > kCountUnknown) count = kCountUnknown;
  lp[4] = static_cast<uint8_t>(count);
  lp[5] = static_cast<uint8_t>(count >> 8);
}

size_t StepAt(const uint8_t* p) {
  size_t body = BodyBytes(p);
  return body + BackBytes(body);
}

// Replaces `old_bytes` bytes at `at` by room for `new_bytes`, total updated. Returns the listpack's new place.
uint8_t* Splice(ValueBytes& value, size_t at, size_t old_bytes, size_t new_bytes) {
  uint8_t* lp = value.data();
  size_t total = TotalBytes(lp);
  size_t new_total = total - old_bytes + new_bytes;
  size_t rest = total - at - old_bytes;
  if (new_bytes > old_bytes) lp = value.Resize(new_total);
  if (new_bytes != old_bytes) memmove(lp + at + new_bytes, lp + at + old_bytes, rest);
  // Resize may look at the content to learn what is in use: told before it shrinks.
  SetTotal(lp, new_total);
  if (new_bytes < old_bytes) lp = value.Resize(new_total);
  return lp;
}

}  // namespace

size_t LongBodyBytes(const uint8_t* p) {
  if (!IsText(*p)) return NumberBytes(*p);
  std::string_view text = TextAt(p);
  return static_cast<size_t>(reinterpret_cast<const uint8_t*>(text.data()) - p) + text.size();
}

size_t WriteBackLength(uint8_t* to, size_t body_bytes) {
  WriteBack(to, body_bytes);
  return BackBytes(body_bytes);
}

size_t WriteNumberElement(uint8_t* to, int64_t number) {
  size_t body = NumberBody(number);
  WriteNumber(to, number, body);
  return body + WriteBackLength(to + body, body);
}

std::string_view Item::Text(char* buffer) const {
  if (!is_number) return text;
  return {buffer, static_cast<size_t>(FormatInt64(number, buffer))};
}

void Init(uint8_t* bytes) {
  SetTotal(bytes, kEmptyBytes);
  SetCount(bytes, 0);
  bytes[kHeaderBytes] = kTerminator;
}

size_t Count(const uint8_t* lp) {
  size_t count = StoredCount(lp);
  if (count != kCountUnknown) return count;
  count = 0;
  for (size_t at = First(lp); at != kEnd; at = Next(lp, at)) count++;
  return count;
}

size_t First(const uint8_t* lp) { return lp[kHeaderBytes] == kTerminator ? kEnd : kHeaderBytes; }

size_t Last(const uint8_t* lp) { return Previous(lp, EndOffset(lp)); }

size_t Next(const uint8_t* lp, size_t at) {
  at += StepAt(lp + at);
  return lp[at] == kTerminator ? kEnd : at;
}

size_t Previous(const uint8_t* lp, size_t at) {
  if (at == kHeaderBytes) return kEnd;
  size_t body = ReadBack(lp + at);
  return at - body - BackBytes(body);
}

size_t Skip(const uint8_t* lp, size_t at, size_t count) {
  for (; count > 0; count--) at += StepAt(lp + at);
  return at;
}

size_t SkipBack(const uint8_t* lp, size_t at, size_t count) {
  for (; count > 0; count--) {
    size_t body = ReadBack(lp + at);
    at -= body + BackBytes(body);
  }
  return at;
}

size_t At(const uint8_t* lp, int64_t index) {
  size_t at;
  size_t count = StoredCount(lp);
  if (count != kCountUnknown) {
    auto n = static_cast<int64_t>(count);
    if (index < -n || index >= n) return kEnd;
    // From the nearer end.
    if (index >= 0 && index > n / 2) index -= n;
    if (index < 0 && -index > n / 2 + 1) index += n;
  }
  if (index >= 0) {
    for (at = First(lp); at != kEnd && index > 0; index--) at = Next(lp, at);
  } else {
    for (at = Last(lp); at != kEnd && index < -1; index++) at = Previous(lp, at);
  }
  return at;
}

Item Get(const uint8_t* lp, size_t at) {
  const uint8_t* p = lp + at;
  if (IsText(*p)) return {TextAt(p), false, 0};
  return {{}, true, NumberAt(p)};
}

size_t TextSize(const uint8_t* lp, size_t at) {
  Item item = Get(lp, at);
  char buffer[24];
  return item.Text(buffer).size();
}

bool Equals(const uint8_t* lp, size_t at, std::string_view text) {
  Item item = Get(lp, at);
  if (!item.is_number) return item.text == text;
  int64_t number;
  return ParseInt64(text, &number) && number == item.number;
}

size_t Find(const uint8_t* lp, size_t at, std::string_view text, size_t skip) {
  if (at == kEnd) return kEnd;
  int64_t number = 0;
  bool is_number = ParseInt64(text, &number);
  size_t to_skip = 0;
  const uint8_t* p = lp + at;
  while (*p != kTerminator) {
    if (to_skip != 0) {
      to_skip--;
    } else {
      if (IsText(*p)) {
        if (!is_number && TextAt(p) == text) return static_cast<size_t>(p - lp);
      } else if (is_number && NumberAt(p) == number) {
        return static_cast<size_t>(p - lp);
      }
      to_skip = skip;
    }
    p += StepAt(p);
  }
  return kEnd;
}

size_t ElementBytes(std::string_view text) { return FormOf(text).bytes(); }

size_t ElementBytesAt(const uint8_t* lp, size_t at) { return StepAt(lp + at); }

size_t ElementBytes(int64_t number) {
  size_t body = NumberBody(number);
  return body + BackBytes(body);
}

size_t Insert(ValueBytes& value, size_t at, std::string_view text) {
  Form form = FormOf(text);
  size_t count = StoredCount(value.data());
  uint8_t* lp = Splice(value, at, 0, form.bytes());
  Write(lp + at, form, text);
  if (count != kCountUnknown) SetCount(lp, count + 1);
  return at;
}

size_t InsertMany(ValueBytes& value, size_t at, const std::string_view* texts, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += ElementBytes(texts[i]);
  size_t old_count = StoredCount(value.data());
  uint8_t* lp = Splice(value, at, 0, bytes);
  uint8_t* to = lp + at;
  for (size_t i = 0; i < count; i++) {
    Form form = FormOf(texts[i]);
    Write(to, form, texts[i]);
    to += form.bytes();
  }
  if (old_count != kCountUnknown) SetCount(lp, old_count + count);
  return at;
}

size_t InsertSome(ValueBytes& value, size_t at, std::span<const std::string_view> texts, size_t bytes_max,
                  bool reversed) {
  Form forms[kSomeMax];
  size_t room = bytes_max - std::min(bytes_max, TotalBytes(value.data()));
  size_t most = std::min(texts.size(), kSomeMax);
  size_t count = 0;
  size_t bytes = 0;
  for (; count < most; count++) {
    FindForm(texts[count], &forms[count]);
    if (bytes + forms[count].bytes() > room) break;
    bytes += forms[count].bytes();
  }
  if (count == 0) return 0;
  size_t old_count = StoredCount(value.data());
  uint8_t* lp = Splice(value, at, 0, bytes);
  uint8_t* to = lp + at;
  for (size_t i = 0; i < count; i++) {
    size_t which = reversed ? count - 1 - i : i;
    Write(to, forms[which], texts[which]);
    to += forms[which].bytes();
  }
  if (old_count != kCountUnknown) SetCount(lp, old_count + count);
  return count;
}

namespace {

Form FormOf(const Item& item) {
  return item.is_number ? Form{true, item.number, NumberBody(item.number)} : FormOf(item.text);
}

}  // namespace

void AppendItems(ValueBytes& value, const Item* items, size_t count) {
  constexpr size_t kKept = 32;  // forms that are not found out twice
  Form forms[kKept];
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    Form form = FormOf(items[i]);
    if (i < kKept) forms[i] = form;
    bytes += form.bytes();
  }
  size_t at = EndOffset(value.data());
  size_t old_count = StoredCount(value.data());
  uint8_t* lp = Splice(value, at, 0, bytes);
  uint8_t* to = lp + at;
  for (size_t i = 0; i < count; i++) {
    Form form = i < kKept ? forms[i] : FormOf(items[i]);
    Write(to, form, items[i].text);
    to += form.bytes();
  }
  if (old_count != kCountUnknown) SetCount(lp, old_count + count);
}

void AppendRaw(ValueBytes& value, const uint8_t* elements, size_t bytes, size_t count) {
  InsertRaw(value, EndOffset(value.data()), elements, bytes, count);
}

void InsertRaw(ValueBytes& value, size_t at, const uint8_t* elements, size_t bytes, size_t count) {
  size_t old_count = StoredCount(value.data());
  uint8_t* lp = Splice(value, at, 0, bytes);
  memcpy(lp + at, elements, bytes);
  if (old_count != kCountUnknown) SetCount(lp, old_count + count);
}

void Replace(ValueBytes& value, size_t at, std::string_view text) {
  Form form = FormOf(text);
  uint8_t* lp = Splice(value, at, StepAt(value.data() + at), form.bytes());
  Write(lp + at, form, text);
}

void ReplaceNumber(ValueBytes& value, size_t at, int64_t number) {
  Form form{true, number, NumberBody(number)};
  uint8_t* lp = Splice(value, at, StepAt(value.data() + at), form.bytes());
  Write(lp + at, form, {});
}

size_t Erase(ValueBytes& value, size_t at, size_t count) {
  uint8_t* lp = value.data();
  size_t end = at;
  size_t erased = 0;
  for (; erased < count && lp[end] != kTerminator; erased++) end += StepAt(lp + end);
  size_t old_count = StoredCount(lp);
  lp = Splice(value, at, end - at, 0);
  if (old_count != kCountUnknown) {
    SetCount(lp, old_count - erased);
  } else {
    SetCount(lp, kCountUnknown);
    size_t left = Count(lp);
    SetCount(lp, left);
  }
  return lp[at] == kTerminator ? kEnd : at;
}

namespace {

// Bytes of the element at `p`, of which `room` may be read; 0 when it is malformed.
size_t CheckedElementBytes(const uint8_t* p, size_t room) {
  if (*p > kInt64) return 0;
  size_t head = !IsText(*p) ? NumberBytes(*p) : (*p & 0xc0) == 0x80 ? 1 : *p == kWideText ? 5 : 2;
  if (head > room) return 0;
  size_t body = BodyBytes(p);
  if (body > room || body + BackBytes(body) > room) return 0;
  uint8_t expected[5];
  WriteBack(expected, body);
  return memcmp(expected, p + body, BackBytes(body)) == 0 ? body + BackBytes(body) : 0;
}

}  // namespace

bool IsValid(const uint8_t* bytes, size_t size) {
  if (size < kEmptyBytes || TotalBytes(bytes) != size || bytes[size - 1] != kTerminator) return false;
  size_t at = kHeaderBytes;
  size_t count = 0;
  while (at < size - 1) {
    size_t step = CheckedElementBytes(bytes + at, size - 1 - at);
    if (step == 0) return false;
    at += step;
    count++;
  }
  return at == size - 1 && (StoredCount(bytes) == count || StoredCount(bytes) == kCountUnknown);
}

}  // namespace brim::listpack
