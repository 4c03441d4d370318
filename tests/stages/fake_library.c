/* A library of nothing but its name; the one that is called OpenBLAS takes every processor for an old one. */
const char *openblas_get_corename(void);

__attribute__((visibility("default"))) const char *openblas_get_corename(void)
{
    return FAKE_CORE;
}
