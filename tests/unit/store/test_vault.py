"""Sealed secrets: only under the same key and label do they open, and the key is made once, whole, for nobody else."""

from pathlib import Path

import pytest

from dcu.errors import ConfigError, StoreError
from dcu.store import Vault, vault_for

KEY = "00112233445566778899aabbccddeeff" * 2


def test_what_is_sealed_opens_again_after_a_restart_and_shows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    sealed = Vault(path).seal("M1/1/encryption", b"k" * 16)
    assert Vault(path).unseal("M1/1/encryption", sealed) == b"k" * 16
    assert b"kkkk" not in sealed
    assert Vault(path).seal("M1/1/encryption", b"k" * 16) != sealed


def test_a_secret_is_bound_to_its_place(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "store.key")
    sealed = vault.seal("M1/1/encryption", b"secret")
    with pytest.raises(ConfigError, match=r"store.key: not the key of this store"):
        vault.unseal("M2/1/encryption", sealed)
    with pytest.raises(ConfigError, match="not the key"):
        vault.unseal("M1/1/encryption", sealed[:-1] + bytes((sealed[-1] ^ 1,)))
    with pytest.raises(ConfigError, match="not the key"):
        vault.unseal("M1/1/encryption", b"")


def test_a_key_is_made_when_it_is_first_needed_and_for_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    (tmp_path / "store.key.part").write_text("half of one that a power cut left")
    vault = Vault(path)
    assert not path.exists()
    vault.seal("a", b"b")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text())) == 32
    assert [file.name for file in tmp_path.iterdir()] == ["store.key"]


def test_a_store_that_was_moved_without_its_key_says_so_and_no_key_is_made(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    sealed = Vault(path).seal("a", b"b")
    path.unlink()
    with pytest.raises(ConfigError, match=r"store.key: the key of this store is missing: bring back"):
        Vault(path).unseal("a", sealed)
    assert not path.exists()
    Vault(path).seal("a", b"b")
    with pytest.raises(ConfigError, match="not the key of this store"):
        Vault(path).unseal("a", sealed)


@pytest.mark.parametrize("content", ["", "zz" * 32, KEY[:-2], KEY + "00"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "store.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=r"store.key: expected 64 hexadecimal digits"):
        Vault(path).seal("a", b"b")


def test_a_key_that_strangers_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    path.write_text(KEY)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="has mode 0644"):
        Vault(path).seal("a", b"b")


def test_a_directory_that_cannot_be_written_is_the_storages_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no key can be kept there"):
        Vault(tmp_path / "absent" / "store.key").seal("a", b"b")


def test_the_credential_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    data = tmp_path / "data"
    data.mkdir()
    vault_for(str(data), None).seal("a", b"b")
    assert (data / "store.key").exists()
    # whoever gives it cares for its rights
    (credentials / "store-key").write_text(KEY + "\n")
    (credentials / "store-key").chmod(0o444)
    sealed = vault_for(str(data), None).seal("a", b"b")
    (data / "other.key").write_text(KEY)
    (data / "other.key").chmod(0o640)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert vault_for(str(data), str(data / "other.key")).unseal("a", sealed) == b"b"
