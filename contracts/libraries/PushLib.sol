// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {IProvenanceRegistry} from "../interfaces/IProvenanceRegistry.sol";

/// @title The hashes that bind pushes to each other and to their batch
library PushLib {
    uint256 private constant SEQ_MASK = type(uint40).max;

    /// @notice What the registry calls a repository. Neither part can hold a slash, so no two paths share a name
    function repoOf(string calldata namespace, string calldata name) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(namespace, "/", name));
    }

    /// @notice Hashed twice, so that no inner node of a Merkle tree can pass as a leaf
    function leafOf(IProvenanceRegistry.Push calldata push) internal pure returns (bytes32) {
        bytes32 once = keccak256(
            abi.encode(
                push.repo,
                push.seq,
                push.previous,
                push.record,
                push.manifest,
                push.contributionsRoot,
                push.pusher
            )
        );
        return keccak256(abi.encode(once));
    }

    /// @notice The hash chain's next value with its low 5 bytes replaced by the sequence number
    function headAfter(bytes32 previous, uint40 seq, bytes32 leaf) internal pure returns (bytes32) {
        uint256 chained = uint256(keccak256(abi.encode(previous, seq, leaf)));
        return bytes32((chained & ~SEQ_MASK) | seq);
    }

    function seqOf(bytes32 head) internal pure returns (uint40) {
        return uint40(uint256(head) & SEQ_MASK);
    }

    /// @notice Root over leaves, sorted pairs; an odd one out moves up as it is. The leaves are overwritten
    function merkleRoot(bytes32[] memory leaves) internal pure returns (bytes32) {
        uint256 count = leaves.length;
        while (count > 1) {
            uint256 half = count / 2;
            unchecked {
                // NOTE: no index passes the number of leaves, which fits in memory.
                for (uint256 i = 0; i < half; ++i) {
                    leaves[i] = Hashes.commutativeKeccak256(leaves[2 * i], leaves[2 * i + 1]);
                }
                if (count % 2 == 1) leaves[half] = leaves[count - 1];
                count = half + (count % 2);
            }
        }
        return leaves[0];
    }
}
