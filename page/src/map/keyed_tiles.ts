/** Tiles whose content depends on more than their place. */

import ImageTile from "ol/source/ImageTile";

export class KeyedTiles extends ImageTile {
  /** Name the content of now. After a change the old tiles stay until the new ones are there. */
  useKey(key: string): void {
    this.setKey(key);
  }
}
