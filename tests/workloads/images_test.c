/* Folders of pictures written here with libpng and libturbojpeg: order, labels, headers, refusals. */
#include "tests/harness/harness.h"
#include "workloads/dataset.h"
#include "workloads/images.h"
#include <png.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

static char path_text[512];

static const char *path_in(const char *dir, const char *name)
{
    snprintf(path_text, sizeof path_text, "%s/%s", dir, name);
    return path_text;
}

static void write_bytes(const char *path, const void *bytes, size_t size_bytes)
{
    FILE *file = fopen(path, "wb");
    EI_REQUIRE(file != NULL);
    EI_EQ(fwrite(bytes, 1, size_bytes, file), size_bytes);
    fclose(file);
}

static void write_png(const char *path, uint32_t width_px, uint32_t height_px, uint32_t format)
{
    static const uint8_t pixels[64 * 64 * 4] = {1, 2, 3};
    png_image image = {.version = PNG_IMAGE_VERSION, .width = width_px, .height = height_px, .format = format};
    EI_TRUE(png_image_write_to_file(&image, path, 0, pixels, 0, NULL));
}

static void write_jpeg(const char *path, int width_px, int height_px, int sampling)
{
    static const uint8_t pixels[64 * 64 * 3] = {1, 2, 3};
    tjhandle jpeg = tjInitCompress();
    unsigned char *bytes = NULL;
    unsigned long size_bytes = 0;
    const int format = sampling == TJSAMP_GRAY ? TJPF_GRAY : TJPF_RGB;
    EI_EQ(tjCompress2(jpeg, pixels, width_px, 0, height_px, format, &bytes, &size_bytes, sampling, 90, 0), 0);
    write_bytes(path, bytes, size_bytes);
    tjFree(bytes);
    tjDestroy(jpeg);
}

static void expect_refusal(const char *dir, int code, const char *file, const char *text)
{
    struct einet_error err = {0};
    struct ei_dataset *dataset = NULL;
    EI_EQ(ei_dataset_open_images(dir, &dataset, &err), code);
    EI_TRUE(dataset == NULL);
    EI_CONTAINS(err.file, file);
    EI_CONTAINS(err.text, text);
}

EI_TEST(flat_folder_is_unlabelled_and_sorted)
{
    const char *dir = ei_test_tmpdir();
    write_png(path_in(dir, "b.png"), 20, 10, PNG_FORMAT_RGB);
    write_jpeg(path_in(dir, "a.jpg"), 17, 33, TJSAMP_420);
    write_png(path_in(dir, "B.PNG"), 5, 6, PNG_FORMAT_GRAY);
    write_jpeg(path_in(dir, "c.Jpeg"), 8, 8, TJSAMP_GRAY);
    write_png(path_in(dir, "d.png"), 4, 4, PNG_FORMAT_RGBA);
    write_png(path_in(dir, "e.png"), 4, 4, PNG_FORMAT_GA);
    write_bytes(path_in(dir, "notes.txt"), "no picture", 10);
    write_bytes(path_in(dir, ".hidden.png"), "no picture", 10);
    struct ei_dataset *dataset;
    struct einet_error err = {0};
    EI_REQUIRE(EI_TRUEF(ei_dataset_open_images(dir, &dataset, &err) == 0, "%s: %s", err.file, err.text));
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    EI_STREQ(info->name, "images");
    EI_STREQ(info->split, "all");
    EI_EQ(info->classes, 0);
    EI_TRUE(info->class_names == NULL);
    EI_EQ(info->width_px, 20);
    EI_EQ(info->height_px, 33);
    EI_EQ(info->channels, 3);
    static const struct {
        enum einet_pixel_format format;
        int32_t width_px, height_px, channels;
    } expected[] = {{EINET_PIXELS_PNG, 5, 6, 1},  {EINET_PIXELS_JPEG, 17, 33, 3}, {EINET_PIXELS_PNG, 20, 10, 3},
                    {EINET_PIXELS_JPEG, 8, 8, 1}, {EINET_PIXELS_PNG, 4, 4, 3},    {EINET_PIXELS_PNG, 4, 4, 1}};
    EI_REQUIRE(EI_TRUEF(info->count == 6, "%d pictures", info->count));
    for (int32_t i = 0; i < 6; i++) {
        struct einet_image image;
        int32_t label = 5;
        EI_EQ(ei_dataset_sample(dataset, i, &image, &label), 0);
        EI_EQ(label, -1);
        EI_EQ(image.format, expected[i].format);
        EI_EQ(image.width_px, expected[i].width_px);
        EI_EQ(image.height_px, expected[i].height_px);
        EI_EQ(image.channels, expected[i].channels);
    }
    ei_dataset_destroy(dataset);
}

EI_TEST(sub_folders_are_classes)
{
    const char *dir = ei_test_tmpdir();
    mkdir(path_in(dir, "zebra"), 0777);
    mkdir(path_in(dir, "ant"), 0777);
    mkdir(path_in(dir, ".git"), 0777);
    write_png(path_in(dir, "zebra/1.png"), 3, 3, PNG_FORMAT_RGB);
    write_png(path_in(dir, "ant/2.png"), 3, 3, PNG_FORMAT_RGB);
    write_jpeg(path_in(dir, "ant/1.jpg"), 3, 3, TJSAMP_444);
    write_bytes(path_in(dir, "README"), "labels are folders", 18);
    struct ei_dataset *dataset;
    struct einet_error err = {0};
    EI_REQUIRE(EI_TRUEF(ei_dataset_open_images(dir, &dataset, &err) == 0, "%s: %s", err.file, err.text));
    const struct ei_dataset_info *info = ei_dataset_info(dataset);
    EI_EQ(info->count, 3);
    EI_EQ(info->classes, 2);
    EI_STREQ(info->class_names[0], "ant");
    EI_STREQ(info->class_names[1], "zebra");
    const int32_t labels[] = {0, 0, 1};
    for (int32_t i = 0; i < 3; i++) {
        struct einet_image image;
        int32_t label;
        EI_EQ(ei_dataset_sample(dataset, i, &image, &label), 0);
        EI_EQ(label, labels[i]);
        EI_EQ(image.format, i == 0 ? EINET_PIXELS_JPEG : EINET_PIXELS_PNG);
    }
    ei_dataset_destroy(dataset);
}

EI_TEST(unusable_folders_are_refused)
{
    const char *dir = ei_test_tmpdir();
    expect_refusal(path_in(dir, "missing"), EINET_E_FILE, "missing", "cannot list");
    expect_refusal(dir, EINET_E_FILE, dir, "holds no picture");
    mkdir(path_in(dir, "ant"), 0777);
    expect_refusal(dir, EINET_E_FILE, "ant", "holds no picture");
    write_png(path_in(dir, "ant/1.png"), 3, 3, PNG_FORMAT_RGB);
    write_png(path_in(dir, "1.png"), 3, 3, PNG_FORMAT_RGB);
    expect_refusal(dir, EINET_E_FILE, dir, "both pictures and sub-folders");
}

EI_TEST(broken_headers_are_refused)
{
    const char *dir = ei_test_tmpdir();
    write_bytes(path_in(dir, "a.png"), "GIF89a and so on, long enough", 29);
    expect_refusal(dir, EINET_E_FILE, "a.png", "byte 0:");
    write_bytes(path_in(dir, "a.png"), "\x89PNG\r\n\x1a\n", 8);
    expect_refusal(dir, EINET_E_FILE, "a.png", "byte 8:");
    write_bytes(path_in(dir, "a.png"), "", 0);
    expect_refusal(dir, EINET_E_FILE, "a.png", "byte 0:");
}

/* Every truncation and every single wrong byte of a header must be survived. */
EI_TEST(header_parser_survives_any_bytes)
{
    const char *dir = ei_test_tmpdir();
    write_png(path_in(dir, "a.png"), 20, 10, PNG_FORMAT_RGB);
    write_jpeg(path_in(dir, "b.jpg"), 20, 10, TJSAMP_420);
    struct ei_dataset *dataset;
    EI_REQUIRE(ei_dataset_open_images(dir, &dataset, NULL) == 0);
    for (int32_t i = 0; i < 2; i++) {
        struct einet_image image, parsed;
        EI_EQ(ei_dataset_sample(dataset, i, &image, NULL), 0);
        int accepted = 0;
        for (size_t length = 0; length <= image.size_bytes; length++) {
            uint8_t *exact = malloc(length + 1); /* its own block, so that a sanitizer sees any read beyond */
            EI_REQUIRE(exact != NULL);
            memcpy(exact, image.data, length);
            uint8_t *cut = realloc(exact, length ? length : 1);
            EI_REQUIRE(cut != NULL);
            accepted += ei_image_header_parse(cut, length, &parsed) == 0;
            if (length > 0) {
                cut[length - 1] ^= 0xFF;
                ei_image_header_parse(cut, length, &parsed);
            }
            free(cut);
        }
        EI_IN(accepted, 1, (double)image.size_bytes - 30);
    }
    ei_dataset_destroy(dataset);
}

EI_MAIN()
