"""The column types of Holdfast's tables, portable between SQLite, MySQL and MariaDB.

Released migrations refer to these names, so what a name means never changes: a new kind of column gets a new name.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, DateTime, Double, Integer, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

# SQLite numbers rows by itself only in a column declared INTEGER.
ID: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
NUMBER: TypeEngine[int] = BigInteger()
REAL: TypeEngine[float] = Double()
FLAG: TypeEngine[bool] = Boolean()
# Without fsp MySQL keeps whole seconds only, and an expectation on a moment would never hold again.
MOMENT: TypeEngine[datetime] = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
SHORT: TypeEngine[str] = String(255)
# Four bytes a letter must fit the 767 bytes that older InnoDB row formats allow in an index.
KEY: TypeEngine[str] = String(190)
# A plain TEXT ends at 64 KiB on MySQL.
LONG: TypeEngine[str] = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")

SHORT_LENGTH = 255
KEY_LENGTH = 190
LONG_LENGTH = 4_000_000
"""Letters that fit a MEDIUMTEXT whatever they are."""
