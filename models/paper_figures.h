/* The figures of the EINet paper that this project compares itself with, as data. Only what the public slides and
 * abstracts state: a figure that is not here is not known to us. Pure, immutable.
 */
#ifndef MODELS_PAPER_FIGURES_H
#define MODELS_PAPER_FIGURES_H

#include <stdint.h>

#define EI_PAPER_SOURCE "EINet (Huang, Gao, Dong; ICDCS 2023)"

/* One row and data set of the table "overall accuracy, static -> EINet". The source does not say which static plan. */
struct ei_paper_figure {
    const char *network, *dataset; /* as the zoo and the data sets here are called */
    double static_pct, einet_pct;  /* overall accuracy */
};

/* The table in the paper's order. */
const struct ei_paper_figure *ei_paper_figures(int32_t *out_count);

/* NULL: the paper has no such pair. */
const struct ei_paper_figure *ei_paper_figure_find(const char *network, const char *dataset);

enum ei_paper_claim {
    EI_PAPER_CLAIM_STATIC,
    EI_PAPER_CLAIM_DYNAMIC,
    EI_PAPER_CLAIM_CLASSIC,
    EI_PAPER_CLAIM_COMPRESSED,
    EI_PAPER_CLAIM_NO_SKIP,
    EI_PAPER_CLAIMS
};

/* The gains that the paper's summary claims, over its pairs, in points of accuracy. */
struct ei_paper_range {
    const char *over; /* what the gain is over */
    double low, high;
};

struct ei_paper_range ei_paper_claim(enum ei_paper_claim claim);

#endif
