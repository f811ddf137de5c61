#ifndef SITEMAP_H
#define SITEMAP_H

#include "control.h"
#include "hash.h"

/*
 * control/sites: which MX hosts are one provider. A line is "SUFFIX:SITE":
 * ".example.net:example" for every host below example.net, "mx.example.net:x"
 * for that host. Without the file the table in sitemap.c holds: providers
 * whose limits are known to count all of their MX hosts together.
 */
#define SITEMAP_NAME_MAX 63

struct sitemap {
  struct hash by_suffix;
};

void sitemap_init(struct sitemap *map);
enum control_result sitemap_read(struct sitemap *map); /* missing: the built-in table */
void sitemap_free(struct sitemap *map);

/* One line. NULL, or what is wrong with it. */
const char *sitemap_add(struct sitemap *map, const char *line);

/* The site of this host, NULL if none is named. The longest suffix wins. */
const char *sitemap_find(const struct sitemap *map, const char *host);

#endif
