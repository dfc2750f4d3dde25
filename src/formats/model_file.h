// A model in any file format that is known here.
//
// Reading goes by what is in the file: a package (model_format.md), safetensors, npz or npy. Writing goes by the
// extension: .flmodel, .safetensors, .npz or .npy. Safe from any thread.
#pragma once

#include <string_view>

#include "base/disk.h"
#include "base/result.h"
#include "formats/file_io.h"
#include "model/model_data.h"

namespace fed_learn {

enum class ModelFileFormat { kPackage, kSafetensors, kNpz, kNpy };

std::string_view ToString(ModelFileFormat format);  // "package", "safetensors", "npz", "npy"

// By the first bytes. InvalidArgument naming `source` and the formats that are known.
Result<ModelFileFormat> DetectModelFile(std::span<const std::byte> bytes, std::string_view source);

// The error of the format's own reader, with the path. An npy file is a model of one tensor, called as the file's stem.
Result<ModelData> ReadModelFile(Disk& disk, std::string_view path);
Result<ModelData> ParseModelFile(const FileBytes& file, std::string_view path);

// Atomic. InvalidArgument for an unknown extension, for more than one tensor in an npy file, and for what the format
// cannot hold.
Status WriteModelFile(Disk& disk, std::string_view path, const ModelData& model);

}  // namespace fed_learn
