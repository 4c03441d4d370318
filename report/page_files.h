/* The files of report/page as texts, made by embed.cmake when the library is built. */
#ifndef REPORT_PAGE_FILES_H
#define REPORT_PAGE_FILES_H

extern const char ei_page_html[];
extern const char ei_page_css[];
extern const char ei_page_js[];

#endif
