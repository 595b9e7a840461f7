// SPDX-License-Identifier: Apache-2.0
// Tables of attributes as CelebA and Kaggle publish them, and what the store holds of them.
#include "data/attributes.h"

#include <gmock/gmock.h>

#include "data/png.h"
#include "tests/data/import_fixture.h"

namespace pathline::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Three pictures without classes, of 10, 20 and 30.
class Attributes : public Import {
 protected:
  Attributes() {
    for (const int i : {1, 2, 3}) {
      write(directory_ / "set/00000" + std::to_string(i) + ".png", encode_png(flat(static_cast<std::uint8_t>(10 * i))));
    }
  }

  AttributeTable table(const std::string& text) {
    write(directory_ / "list.txt", std::as_bytes(std::span(text)));
    return read_attribute_table(files_, directory_ / "list.txt");
  }
  std::unique_ptr<PictureSource> pictures(const std::string& text) {
    return with_attributes(open_pictures(files_, directory_ / "set", ""), table(text));
  }
  std::string refusal(const std::string& text) {
    try {
      pictures(text);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput) << text;
      return error.what();
    }
    ADD_FAILURE() << text << " was taken";
    return "";
  }
  Bytes stored(std::int64_t index) const {
    Bytes values(result_->info().attribute_names.size());
    result_->read_attributes(index, values);
    return values;
  }
};

const std::string kCelebA =
    "4\nEyeglasses Male Smiling \n000001.png -1  1  1\n000002.png  1 -1 -1\n000003.png -1 -1  1\n000004.png  1  1  1\n";

TEST_F(Attributes, OfCelebAAreStoredBesideTheirPictures) {
  import(*pictures(kCelebA));
  EXPECT_THAT(result_->info().attribute_names, ElementsAre("Eyeglasses", "Male", "Smiling"));
  EXPECT_THAT(stored(0), ElementsAre(0, 1, 1));
  EXPECT_THAT(stored(1), ElementsAre(1, 0, 0));
  EXPECT_THAT(stored(2), ElementsAre(0, 0, 1));
  EXPECT_EQ(item(1)[0], 20);
}

TEST_F(Attributes, OfCsvMayBeZeroOrMinusOneAndInAnyOrder) {
  import(*pictures("image_id,a,b\r\n000003.png,1,0\r\n000001.png,-1,1\r\n\r\n000002.png,0,-1\r\n"));
  EXPECT_THAT(result_->info().attribute_names, ElementsAre("a", "b"));
  EXPECT_THAT(stored(0), ElementsAre(0, 1));
  EXPECT_THAT(stored(1), ElementsAre(0, 0));
  EXPECT_THAT(stored(2), ElementsAre(1, 0));
}

TEST_F(Attributes, StayWithTheirPicturesWhenOthersAreLeftOut) {
  write(directory_ / "set/000002.png", Bytes{1, 2, 3});
  ImportOptions options;
  options.skip_bad = true;
  EXPECT_EQ(import(*pictures(kCelebA), options).left_out, 1);
  EXPECT_EQ(item(1)[0], 30);
  EXPECT_THAT(stored(1), ElementsAre(0, 0, 1));
}

TEST_F(Attributes, GoAlongFromStoreToStoreAndAcrossParts) {
  part_bytes_ = 16530;  // a header and two pictures of 55 bytes, of three
  import(*pictures(kCelebA));
  EXPECT_THAT(stored(2), ElementsAre(0, 0, 1));
  const std::string first = directory_ / "out.json";
  store_ = directory_ / "again.h5";
  part_bytes_ = 0;
  import(first);
  EXPECT_THAT(result_->info().attribute_names, ElementsAre("Eyeglasses", "Male", "Smiling"));
  EXPECT_THAT(stored(0), ElementsAre(0, 1, 1));
  EXPECT_THAT(stored(2), ElementsAre(0, 0, 1));
}

TEST_F(Attributes, RowsWithoutAPictureAreCounted) {
  EXPECT_THAT(pictures(kCelebA)->description(), AllOf(HasSubstr("3 attributes"), HasSubstr("1 of its rows")));
}

TEST_F(Attributes, PicturesWithoutARowAreNamed) {
  EXPECT_THAT(refusal("file,a\n000001.png,1\n000003.png,1\n"), AllOf(HasSubstr("000002.png"), HasSubstr("list.txt")));
}

TEST_F(Attributes, RowsNameFoldersWhereNamesRepeat) {
  std::filesystem::remove_all(directory_ / "set");
  write(directory_ / "set/a/1.png", encode_png(flat(1)));
  write(directory_ / "set/b/1.png", encode_png(flat(2)));
  EXPECT_THAT(refusal("file,x\n1.png,1\n"), AllOf(HasSubstr("no row for b/1.png"), HasSubstr("went to a/1.png")));
  import(*pictures("file,x\nb/1.png,1\na/1.png,0\n"));
  EXPECT_THAT(stored(0), ElementsAre(0));
  EXPECT_THAT(stored(1), ElementsAre(1));
}

TEST_F(Attributes, TablesThatAreNoneAreRefusedWithTheLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty"},
      {"000001.png 1 -1\n", "line 1"},
      {"2\n", "names"},
      {"2\na b\n000001.png 1\n", "line 3"},
      {"2\na a\n000001.png 1 1\n", "not different"},
      {"2\na b\n000001.png 1 2\n", "\"2\" is no value of b"},
      {"2\na b\n000001.png 1 1\n", "1 rows, while 2 are announced"},
      {"file,a\n1.png,1\n1.png,1\n", "twice"},
      {"file,a\n1.png,yes\n", "\"yes\""},
      {"file,\n1.png,1\n", "empty"}};
  for (const auto& [text, why] : cases) EXPECT_THAT(refusal(text), AllOf(HasSubstr("list.txt"), HasSubstr(why)));
}

}  // namespace
}  // namespace pathline::data
