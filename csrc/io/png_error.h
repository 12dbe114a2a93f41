/* How reading and writing of PNG files hear of libpng's errors: the reason is kept as text, then libpng jumps
 * back to the caller of setjmp. Warnings are not heard. */
#ifndef IO_PNG_ERROR_H
#define IO_PNG_ERROR_H

#include <png.h>

enum { PNG_REASON_SIZE = 160 };

/* For png_create_…_struct, whose error pointer is a char[PNG_REASON_SIZE], zeroed. */
void png_on_error(png_structp png, png_const_charp reason);
void png_on_warning(png_structp png, png_const_charp reason);

#endif
