// SPDX-License-Identifier: Apache-2.0
// Where samples come from. Pixels are uint8, height x width x channels; points are float32 vectors; latents of an
// autoencoder are float16, channels x height x width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pathline::data {

class DecodedChunks;

enum class ItemKind { kImage, kPoint, kLatent };

/// How one prompt is encoded: `tokens` rows of `width` numbers, then `pooled` numbers. All 0: not at all.
struct TextShape {
  std::int64_t tokens = 0, width = 0, pooled = 0;
  std::size_t values() const { return static_cast<std::size_t>(tokens * width + pooled); }
  bool operator==(const TextShape&) const = default;
};

/// What an item of latents holds, (flips, moments, channels, height, width), and how that becomes what a model sees:
/// x = (latent - shift) * scale.
struct LatentForm {
  std::int64_t flips = 1;            // 2: the picture's latent, and that of its mirror image
  std::int64_t moments = 1;          // 2: mean and log-variance of a normal law that every visit draws from
  std::vector<double> shift, scale;  // (channels)
  bool operator==(const LatentForm&) const = default;
};

/// What a data set is, as recognised. Equal on every rank that opened the same files.
struct SetInfo {
  ItemKind kind = ItemKind::kImage;
  std::int64_t count = 0;
  std::int64_t height = 1, width = 1;
  std::int64_t channels = 0;  // for points: their dimension D, with height = width = 1
  std::int64_t classes = 0;   // 0: no labels; else 1 + the largest label or the number of class names
  std::vector<std::string> class_names;
  std::vector<std::string> attribute_names;             // yes/no properties of every sample; empty: none
  std::string digest;                                   // content digest as stored, or "" for foreign files
  std::string description;                              // one line: what was recognised, where
  TextShape text;                                       // of what describes each sample
  std::shared_ptr<const std::vector<float>> null_text;  // the empty prompt, text.values() numbers; null without text
  LatentForm latents;                                   // where they are that

  /// (C, H, W) or (D), as a model sees an item.
  std::vector<std::int64_t> sample_shape() const {
    if (kind == ItemKind::kPoint) return {channels};
    return {channels, height, width};
  }
  /// What a model sees of an item, and what is stored of it.
  std::size_t item_values() const { return static_cast<std::size_t>(height * width * channels); }
  std::size_t stored_values() const {
    return item_values() * static_cast<std::size_t>(kind == ItemKind::kLatent ? latents.flips * latents.moments : 1);
  }
  std::size_t item_bytes() const {
    const std::size_t each = kind == ItemKind::kImage ? 1 : kind == ItemKind::kLatent ? 2 : sizeof(float);
    return stored_values() * each;
  }
};

/// Random access to samples. Safe to read from any number of threads.
class ShardSource {
 public:
  virtual ~ShardSource() = default;
  virtual const SetInfo& info() const = 0;
  /// The stored bytes of sample `index` (item_bytes() of them): uint8 HWC, float32 for points, or float16 for latents.
  virtual void read(std::int64_t index, std::span<std::byte> out) const = 0;
  /// Asks the storage for sample `index` without waiting for it.
  virtual void will_read(std::int64_t) const {}
  /// Where reading one sample decodes others, too: the first sample of every such group, in order; else empty. A group
  /// ends where the next one begins.
  virtual std::vector<std::int64_t> decoded_together() const { return {}; }
  /// Where decoded groups stay from now on (data/decoded_chunks.h): as many as are read at the same time must fit. Not
  /// while anybody reads.
  virtual void decode_into(std::shared_ptr<DecodedChunks>) {}
  /// Decodes the group of sample `index` so that a read finds it decoded.
  virtual void decode_now(std::int64_t) const {}
  /// -1 where the set has no labels.
  virtual std::int64_t label(std::int64_t index) const = 0;
  /// What to call a sample in messages: "item 17 of cats.h5", counted from 0.
  virtual std::string name_of(std::int64_t index) const { return "item " + std::to_string(index); }
  /// Whether samples come with what they were made from (/x0 of generated sets).
  virtual bool has_starts() const { return false; }
  /// That of sample `index`, in the layout of its pixels (height, width, channels) or as the point: item_values() of
  /// them. Only where has_starts().
  virtual void read_start(std::int64_t index, std::span<float> out) const;
  /// Whether it is said which part of every sample is known (/masks).
  virtual bool has_masks() const { return false; }
  /// That of sample `index`: height * width bytes, of a point one a coordinate; not 0 where it is known. Only where
  /// has_masks().
  virtual void read_mask(std::int64_t index, std::span<std::byte> out) const;
  /// What sample `index` has (1) and has not (0): one for each of info().attribute_names, of which there are some.
  virtual void read_attributes(std::int64_t index, std::span<std::uint8_t> out) const;
  /// The prompt of sample `index`: info().text.values() numbers, its tokens first. Only where info().null_text.
  virtual void read_text(std::int64_t index, std::span<float> out) const;
  /// The CRC32C that the file holds of the sample's bytes; not checked by read(). Empty for foreign files.
  virtual std::optional<std::uint32_t> stored_crc(std::int64_t) const { return std::nullopt; }
};

/// Opens an image store (or a recognised foreign HDF5 file): one file, several parts, or a shell pattern.
/// Throws ExitCode::kInput, naming what was found, for anything that cannot be read as a data set.
std::unique_ptr<ShardSource> open_source(const std::vector<std::string>& paths);

/// A source in memory: `values` holds `info.count` items, one after the other; `labels` may be empty.
std::unique_ptr<ShardSource> source_in_memory(SetInfo info, std::vector<std::byte> values,
                                              std::vector<std::int64_t> labels);

}  // namespace pathline::data
