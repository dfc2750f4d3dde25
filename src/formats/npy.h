// Reads and writes *.npy, NumPy's file of one array (format versions 1.0, 2.0 and 3.0).
//
// Nothing is believed before it is checked, in this order; the first rule that fails is the error, with the source
// named:
//   1. the file begins with "\x93NUMPY" and a version that is known
//   2. the header's length fits in the file and is at most 64 KiB
//   3. the header is a dictionary of exactly 'descr', 'fortran_order' and 'shape'
//   4. the dtype is one of ours, little-endian; objects, strings and records are refused, never unpickled
//   5. the shape does not overflow
//   6. the rest of the file is exactly the shape's bytes
// Safe from any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "formats/file_io.h"
#include "model/tensor.h"

namespace fed_learn {

// InvalidArgument by the rules above. The values are shared with `file` if they are in C order, else copied into it.
Result<Tensor> ParseNpy(const FileBytes& file, std::string_view source);

// What stands before the values: byte for byte what NumPy 2 writes. InvalidArgument for bf16, which NumPy lacks.
Result<std::string> EncodeNpyHeader(const Tensor& tensor);

}  // namespace fed_learn
