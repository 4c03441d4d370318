/* Reading the header of a PNG or JPEG file in memory: its format and size, without decoding it. Opening a folder of
 * such files is ei_dataset_open_images (workloads/dataset.h). */
#ifndef WORKLOADS_IMAGES_H
#define WORKLOADS_IMAGES_H

#include <einet/image.h>
#include <stddef.h>
#include <stdint.h>

#define EI_IMAGES_FILE_BYTES_MAX (64U * 1024U * 1024U)
#define EI_IMAGES_COUNT_MAX 1000000
#define EI_IMAGES_CLASSES_MAX 10000

/* View a compressed picture: recognise it by its first bytes and fill format, width_px, height_px and channels (1 or 3;
 * as it will be decoded, without alpha). *out_image borrows data.
 * Returns 0, or the negative position - 1 of the first byte that does not fit: -1 = byte 0. Thread: any, bounded by
 * size_bytes. */
int64_t ei_image_header_parse(const uint8_t *data, size_t size_bytes, struct einet_image *out_image);

#endif
