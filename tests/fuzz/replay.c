/* Stands in for libFuzzer where clang is not: every file named is one input, each judged twice. Prints how
 * many there were; a finding ends it. */
#include "fuzz.h"

#include "core/error.h"

#include <stdio.h>

int main(int argc, char **argv) {
  LLVMFuzzerInitialize(&argc, &argv);
  fuzz_thorough = 1;
  for (int i = 1; i < argc; i++) {
    Bytes input;
    if (!file_read(argv[i], 1 << 26, &input)) {
      fprintf(stderr, "%s\n", error_message());
      return 1;
    }
    fprintf(stderr, "%s\n", argv[i]);
    LLVMFuzzerTestOneInput(input.data, input.size);
    bytes_free(&input);
  }
  printf("%d\n", argc - 1);
  return 0;
}
