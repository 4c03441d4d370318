/* See paper_figures.h. */
#include "models/paper_figures.h"

#include <string.h>

/* Source: EINet (ICDCS 2023), table of overall accuracy on CIFAR-10 and CIFAR-100, static plan and EINet. */
static const struct ei_paper_figure figures[] = {
    {"b-alexnet", "cifar10", 78.43, 78.71},  {"b-alexnet", "cifar100", 46.40, 46.41},
    {"resnet-50", "cifar10", 85.62, 86.65},  {"resnet-50", "cifar100", 62.73, 63.29},
    {"flexvgg-16", "cifar10", 88.10, 88.23}, {"flexvgg-16", "cifar100", 65.88, 66.03},
    {"msdnet-21", "cifar10", 80.87, 81.11},  {"msdnet-21", "cifar100", 62.25, 63.92},
    {"vgg-16", "cifar10", 88.98, 89.12},     {"vgg-16", "cifar100", 65.63, 66.08},
    {"msdnet-40", "cifar10", 86.38, 86.60},  {"msdnet-40", "cifar100", 66.14, 67.93},
};

/* Source: EINet (ICDCS 2023), the gains of its summary. */
static const struct ei_paper_range claims[EI_PAPER_CLAIMS] = {
    [EI_PAPER_CLAIM_STATIC] = {"static plans", 0.13, 16.5}, [EI_PAPER_CLAIM_DYNAMIC] = {"dynamic plans", 0.79, 4.1},
    [EI_PAPER_CLAIM_CLASSIC] = {"classic", 40.4, 61.5},     [EI_PAPER_CLAIM_COMPRESSED] = {"compressed", 38.5, 58.2},
    [EI_PAPER_CLAIM_NO_SKIP] = {"no skipping", 0.8, 1.5},
};

const struct ei_paper_figure *ei_paper_figures(int32_t *out_count)
{
    *out_count = (int32_t)(sizeof figures / sizeof figures[0]);
    return figures;
}

const struct ei_paper_figure *ei_paper_figure_find(const char *network, const char *dataset)
{
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (strcmp(figures[i].network, network) == 0 && strcmp(figures[i].dataset, dataset) == 0) {
            return &figures[i];
        }
    }
    return NULL;
}

struct ei_paper_range ei_paper_claim(enum ei_paper_claim claim)
{
    return claims[claim];
}
