#ifndef LIST_H
#define LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Intrusive doubly linked lists, circular around a head. A list that must be
 * walked a part at a time, while items come and go, is a struct list: its
 * cursors are told when the item that they stand on is removed, so a walk needs no
 * snapshot, sees each item once, and never touches a freed one.
 */
struct list_node {
  struct list_node *prev, *next;
};

#define LIST_ITEM(node, type, member) ((type *)(void *)((char *)(node) - offsetof(type, member)))

static inline void list_head_init(struct list_node *head)
{
  head->prev = head->next = head;
}

static inline bool list_head_empty(const struct list_node *head)
{
  return head->next == head;
}

/* Before place; with a head as place: at the end. */
static inline void list_link(struct list_node *place, struct list_node *node)
{
  node->prev = place->prev;
  node->next = place;
  place->prev->next = node;
  place->prev = node;
}

/* Off its list, and in none: unlinking again does nothing. */
static inline void list_unlink(struct list_node *node)
{
  node->prev->next = node->next;
  node->next->prev = node->prev;
  node->prev = node->next = node;
}

struct list_cursor {
  struct list_node *next; /* the item to be seen next, or the head: the end */
  struct list_cursor *link;
};

struct list {
  struct list_node head;
  struct list_cursor *cursors;
  size_t count;
};

void list_init(struct list *list);
void list_append(struct list *list, struct list_node *node);
void list_remove(struct list *list, struct list_node *node);

/* The cursor is the caller's, in place until list_close(). */
void list_open(struct list *list, struct list_cursor *cursor);
struct list_node *list_step(struct list *list, struct list_cursor *cursor); /* NULL: the end */
void list_close(struct list *list, struct list_cursor *cursor);

#endif
