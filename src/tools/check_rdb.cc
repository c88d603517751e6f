// brim-check-rdb: tells whether an RDB file is whole, and if not, where it is broken. Exit codes are redis-check-rdb's:
// 0 when the file is good.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "server/server.h"
#include "tools/rdb_walk.h"

namespace {

int Main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "Usage: %s <rdb-file-name>\n", argv[0]);
    return 1;
  }
  if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0) {
    printf("brim-check-rdb %s (Redis %s)\n", brim::kVersion, brim::kRedisVersion);
    return 0;
  }
  int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    printf("Cannot open file %s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  int64_t end;
  bool good = brim::WalkRdb(fd, argv[1], &end);
  close(fd);
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }
