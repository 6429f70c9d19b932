"""All stories, false friends and edges, by the key of their rule."""

from tests.infusion.stories import care, delivery, device, laboratory, line, technical, therapy
from tests.infusion.stories.book import Edge, Friend, Play

BOOKS = tuple(each.BOOK for each in (device, technical, therapy, delivery, line, laboratory, care))
STORIES: dict[str, Play] = {}
FRIENDS: dict[str, Friend] = {}
EDGES: dict[str, list[Edge]] = {}
for _book in BOOKS:
    STORIES |= _book.stories
    FRIENDS |= _book.friends
    EDGES |= _book.edges
