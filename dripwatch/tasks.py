"""Waiting for one thing while others must go on."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from infusion.errors import LinkError

T = TypeVar("T")


async def first(waiting: Coroutine[Any, Any, T], *parts: asyncio.Task[None]) -> T:
    """Await one thing; a part that ends before it raises its failure, or LinkError, instead."""
    task = asyncio.create_task(waiting)
    try:
        await asyncio.wait((task, *parts), return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()
                raise LinkError(f"the {part.get_name()} ended before its time")
        return await task
    finally:
        await end(task)


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; what went wrong in it has been raised elsewhere."""
    task.cancel()
    await asyncio.wait((task,))
