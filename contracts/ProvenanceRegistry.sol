// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IProvenanceRegistry} from "./interfaces/IProvenanceRegistry.sol";
import {NameLib} from "./libraries/NameLib.sol";
import {PushLib} from "./libraries/PushLib.sol";

/// @title The push records of every repository; the interface says what each function means
contract ProvenanceRegistry is IProvenanceRegistry, Ownable2Step {
    uint256 private constant AUTHORS_MAX = 16;

    mapping(bytes32 repo => bytes32) public headOf;
    mapping(bytes32 repo => address) public repositoryOwner;
    mapping(bytes32 repo => mapping(address account => bool)) public isWriter;
    mapping(address account => bool) public isRecorder;
    mapping(uint64 number => bytes32) public batchRoots;
    uint64 public batchCount;
    mapping(bytes32 id => address) private _namespaceOwner;

    constructor(address owner_) Ownable(owner_) {}

    /// @inheritdoc IProvenanceRegistry
    function claimNamespace(string calldata name) external {
        if (!NameLib.isReadableNamespace(name)) revert NamespaceInvalid(name);
        bytes32 id = keccak256(bytes(name));
        address owner_ = _namespaceOwner[id];
        if (owner_ != address(0)) revert NamespaceTaken(name, owner_);
        _namespaceOwner[id] = msg.sender;
        emit NamespaceClaimed(id, msg.sender, name);
    }

    /// @inheritdoc IProvenanceRegistry
    function transferNamespace(string calldata name, address to) external {
        bytes32 id = keccak256(bytes(name));
        if (_namespaceOwner[id] != msg.sender || to == address(0)) revert NotNamespaceOwner(name, msg.sender);
        _namespaceOwner[id] = to;
        emit NamespaceClaimed(id, to, name);
    }

    /// @inheritdoc IProvenanceRegistry
    function createRepository(string calldata namespace, string calldata name) external returns (bytes32 repo) {
        repo = _create(namespace, name, msg.sender);
    }

    /// @inheritdoc IProvenanceRegistry
    function setWriter(bytes32 repo, address account, bool allowed) external {
        if (repositoryOwner[repo] != msg.sender) revert NotRepositoryOwner(repo, msg.sender);
        isWriter[repo][account] = allowed;
        emit WriterSet(repo, account, allowed);
    }

    /// @inheritdoc IProvenanceRegistry
    function setRecorder(address recorder, bool allowed) external onlyOwner {
        isRecorder[recorder] = allowed;
        emit RecorderSet(recorder, allowed);
    }

    /// @inheritdoc IProvenanceRegistry
    function commitBatch(Registration[] calldata registrations, Push[] calldata pushes) external {
        if (!isRecorder[msg.sender]) revert NotRecorder(msg.sender);
        if (pushes.length == 0) revert BatchEmpty();
        for (uint256 i = 0; i < registrations.length; ++i) {
            Registration calldata one = registrations[i];
            if (repositoryOwner[PushLib.repoOf(one.namespace, one.name)] != address(0)) continue;
            _create(one.namespace, one.name, one.owner);
        }
        bytes32[] memory leaves = new bytes32[](pushes.length);
        for (uint256 i = 0; i < pushes.length; ++i) {
            leaves[i] = _record(pushes[i]);
        }
        bytes32 root = PushLib.merkleRoot(leaves);
        uint64 number = ++batchCount;
        batchRoots[number] = root;
        emit BatchCommitted(number, root, uint32(pushes.length));
    }

    /// @inheritdoc IProvenanceRegistry
    function pushDirect(Push calldata push) external {
        bool allowed = repositoryOwner[push.repo] == msg.sender || isWriter[push.repo][msg.sender];
        if (!allowed || push.pusher != msg.sender) revert NotWriter(push.repo, msg.sender);
        _record(push);
    }

    /// @inheritdoc IProvenanceRegistry
    function namespaceOwner(string calldata name) public view returns (address) {
        (bool isAddress, address self) = NameLib.parseAddress(name);
        return isAddress ? self : _namespaceOwner[keccak256(bytes(name))];
    }

    /// @inheritdoc IProvenanceRegistry
    function verifyInBatch(uint64 number, bytes32 leaf, bytes32[] calldata proof) external view returns (bool) {
        bytes32 root = batchRoots[number];
        return root != bytes32(0) && MerkleProof.verifyCalldata(proof, root, leaf);
    }

    function _create(string calldata namespace, string calldata name, address owner_) private returns (bytes32 repo) {
        if (owner_ == address(0) || namespaceOwner(namespace) != owner_) revert NotNamespaceOwner(namespace, owner_);
        if (!NameLib.isRepositoryName(name)) revert NameInvalid(name);
        repo = PushLib.repoOf(namespace, name);
        if (repositoryOwner[repo] != address(0)) revert RepositoryExists(repo);
        repositoryOwner[repo] = owner_;
        emit RepositoryCreated(repo, owner_, namespace, name);
    }

    /// @dev The head is the only word that a push writes: 216 bits of the hash chain above 40 bits of sequence number.
    function _record(Push calldata push) private returns (bytes32 leaf) {
        bytes32 repo = push.repo;
        bytes32 head = headOf[repo];
        if (head == bytes32(0) && repositoryOwner[repo] == address(0)) revert RepositoryUnknown(repo);
        if (head != push.previous) revert HeadMoved(repo, head, push.previous);
        uint40 seq = PushLib.seqOf(head) + 1;
        if (push.seq != seq) revert SeqMismatch(repo, seq, push.seq);
        Author[] calldata authors = push.authors;
        if (authors.length > AUTHORS_MAX) revert TooManyAuthors(AUTHORS_MAX, authors.length);
        leaf = PushLib.leafOf(push);
        bytes32 next = PushLib.headAfter(head, seq, leaf);
        headOf[repo] = next;
        emit PushRecorded(
            repo,
            seq,
            push.pusher,
            head,
            next,
            push.record,
            push.manifest,
            push.contributionsRoot,
            authors
        );
    }
}
