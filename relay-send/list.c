#include "list.h"

void list_init(struct list *list)
{
  *list = (struct list){0};
  list_head_init(&list->head);
}

void list_append(struct list *list, struct list_node *node)
{
  list_link(&list->head, node);
  list->count++;
  /* A cursor at the end sees what is appended behind it, like every later item. */
  for (struct list_cursor *c = list->cursors; c; c = c->link) {
    if (c->next == &list->head) {
      c->next = node;
    }
  }
}

void list_remove(struct list *list, struct list_node *node)
{
  for (struct list_cursor *c = list->cursors; c; c = c->link) {
    if (c->next == node) {
      c->next = node->next;
    }
  }
  list_unlink(node);
  list->count--;
}

void list_open(struct list *list, struct list_cursor *cursor)
{
  cursor->next = list->head.next;
  cursor->link = list->cursors;
  list->cursors = cursor;
}

struct list_node *list_step(struct list *list, struct list_cursor *cursor)
{
  struct list_node *node = cursor->next;

  if (node == &list->head) {
    return NULL;
  }
  cursor->next = node->next;
  return node;
}

void list_close(struct list *list, struct list_cursor *cursor)
{
  for (struct list_cursor **at = &list->cursors; *at; at = &(*at)->link) {
    if (*at == cursor) {
      *at = cursor->link;
      break;
    }
  }
}
