/* A library that leads to another one, as Debian's libblas.so.3 leads to its OpenBLAS. */
const char *openblas_get_corename(void);
int fake_blas_door(void);

__attribute__((visibility("default"))) int fake_blas_door(void)
{
    return openblas_get_corename()[0];
}
