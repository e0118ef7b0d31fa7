// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {ProvenanceRegistry} from "../../contracts/ProvenanceRegistry.sol";
import {IProvenanceRegistry} from "../../contracts/interfaces/IProvenanceRegistry.sol";
import {Test} from "./Test.sol";

/// @notice Who acts on a registry, and its hashes computed apart from the contract
abstract contract RegistryActors is Test {
    address internal alice = address(0xA11CE);
    address internal bob = address(0xB0B);
    address internal eve = address(0xE5E);
    address internal recorder = address(0x4EC);
    ProvenanceRegistry internal registry;

    /// @dev The namespace that belongs to an account by itself.
    function own(address account) internal pure returns (string memory) {
        return Strings.toHexString(account);
    }

    function idOf(string memory namespace, string memory name) internal pure returns (bytes32) {
        return keccak256(bytes(string.concat(namespace, "/", name)));
    }

    function create(address account, string memory name) internal returns (bytes32 repo) {
        string memory namespace = own(account);
        vm.prank(account);
        repo = registry.createRepository(namespace, name);
    }

    function registration(
        address account,
        string memory name
    ) internal pure returns (IProvenanceRegistry.Registration memory) {
        return IProvenanceRegistry.Registration(own(account), name, account);
    }

    function none() internal pure returns (IProvenanceRegistry.Registration[] memory) {
        return new IProvenanceRegistry.Registration[](0);
    }

    /// @dev A push on top of `previous`, its digests derived from `seed`.
    function pushOn(
        bytes32 repo,
        bytes32 previous,
        address pusher,
        uint256 seed
    ) internal pure returns (IProvenanceRegistry.Push memory push) {
        push.repo = repo;
        push.previous = previous;
        push.seq = uint40(uint256(previous)) + 1;
        push.record = keccak256(abi.encode("record", seed));
        push.manifest = keccak256(abi.encode("manifest", seed));
        push.contributionsRoot = keccak256(abi.encode("contributions", seed));
        push.pusher = pusher;
        push.authors = new IProvenanceRegistry.Author[](1);
        push.authors[0] = IProvenanceRegistry.Author(pusher, 1);
    }

    function leafOf(IProvenanceRegistry.Push memory push) internal pure returns (bytes32) {
        bytes memory words = abi.encodePacked(
            push.repo,
            uint256(push.seq),
            push.previous,
            push.record,
            push.manifest,
            push.contributionsRoot,
            uint256(uint160(push.pusher))
        );
        return keccak256(abi.encodePacked(keccak256(words)));
    }

    function headAfter(IProvenanceRegistry.Push memory push) internal pure returns (bytes32) {
        uint256 chained = uint256(keccak256(abi.encode(push.previous, uint256(push.seq), leafOf(push))));
        return bytes32(((chained >> 40) << 40) | push.seq);
    }

    function commit(IProvenanceRegistry.Push memory push) internal {
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](1);
        pushes[0] = push;
        vm.prank(recorder);
        registry.commitBatch(none(), pushes);
    }
}

/// @notice A fresh registry with one recorder
abstract contract RegistryFixture is RegistryActors {
    function setUp() public virtual {
        registry = new ProvenanceRegistry(address(this));
        registry.setRecorder(recorder, true);
    }
}
